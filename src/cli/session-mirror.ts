// What a relay remembers of its client's session, to begin it again with the next owner, and to answer requests that an owner left open.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { RequestsInFlight } from '../core/in-flight.ts';
import { encodeError } from '../downstream/mcp/encode.ts';
import {
  type Frame,
  errorText,
  notificationText,
  oneLine,
  readFrame,
  type RequestFrame,
  type RequestId,
  requestText,
  type ResponseFrame,
  resultText,
} from '../protocol/mcp/frames.ts';
import { CALL_METHODS } from '../protocol/mcp/vocabulary.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';
import { randomHex } from '../telemetry/trace.ts';
import { type ClientLine, idsOf } from './client-line.ts';
import { EXIT, ExitError } from './exit-codes.ts';

/** Requests that are not calls: they have no effect and no record, so the relay may send them again to the next owner. */
const NO_CALLS: ReadonlySet<string> = new Set(['initialize', 'ping', 'server/discover']);
/** Requests whose success changes the session, so that the relay repeats them at the next owner. */
const SESSION_CHANGES: ReadonlySet<string> = new Set([
  'initialize',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);
const LISTS = ['tools', 'prompts', 'resources'];

/** The beginning of a response as the owner writes it; it shows id and kind without parsing the rest. */
const RESPONSE_HEAD = /^\{"jsonrpc":"2\.0","id":("[^"\\]*(?:\\.[^"\\]*)*"|-?\d+),"(result|error)":/;
const NOTIFICATION_HEAD = '{"jsonrpc":"2.0","method":"notifications/';
const CANCELLED_HEAD = `${NOTIFICATION_HEAD}cancelled"`;

export interface MirrorOptions {
  toOwner(text: string): void;
  toClient(text: string): void;
  /** Shows a message to the user. */
  warn(message: string): void;
}

interface OpenRequest {
  readonly method: string;
  /** How many requests of this id have no answer; more than one only if the client reuses an id. */
  copies: number;
  /** The batch of the request, if it is in one. */
  readonly batch: ClientLine | undefined;
  /** Set if its success changes the session. */
  readonly frame: RequestFrame | undefined;
  /** Set if the relay may send it again. */
  readonly line: ClientLine | undefined;
}

interface Negotiated {
  readonly params: JsonObject;
  readonly version: JsonValue | undefined;
}

export class SessionMirror {
  private readonly options: MirrorOptions;
  private readonly open = new Map<RequestId, OpenRequest>();
  /** The owner's ids of open questions by the relay's ids, which the client sees: two owners may use the same id. */
  private readonly questions = new Map<RequestId, RequestId>();
  /** The relay's own requests; one is answered with undefined if the owner ends first. */
  private readonly replays = new RequestsInFlight<RequestId, undefined, ResponseFrame | undefined>();
  private readonly prefix = `mcp-gateway-relay-${randomHex(8)}`;
  private count = 0;
  /** The client's `initialize`, and the version that the first owner answered. */
  private negotiated: Negotiated | undefined;
  private initialized = false;
  private logLevel: JsonValue | undefined;
  private readonly subscriptions = new Set<string>();

  constructor(options: MirrorOptions) {
    this.options = options;
  }

  /** Passes a line of the client on. Throws `overloaded` if too many requests are open. */
  fromClient(line: ClientLine): void {
    if (this.open.size + idsOf(line).length > BOUNDS.relayRequests)
      throw new GatewayError('overloaded', `${BOUNDS.relayRequests} requests are in flight; wait for some to end.`);
    const texts = line.parts.flatMap(({ frame, text }) => {
      if (frame.kind === 'response') return this.answerOf(frame) ?? [];
      if (frame.kind === 'notification') this.onNotification(frame.method, frame.params);
      else if (frame.kind === 'request') this.begin(frame.id, frame, line);
      else if (frame.id !== undefined) this.begin(frame.id, undefined, line);
      return text;
    });
    if (texts.length > 0) this.options.toOwner(line.batch ? `[${texts.join(',')}]` : texts.join());
    else if (line.parts.length === 0) this.options.toOwner(line.text);
  }

  /** Passes a line of the owner on, unless it answers a request of the relay itself. */
  fromOwner(text: string): void {
    const head = RESPONSE_HEAD.exec(text);
    if (head) {
      const id = JSON.parse(head[1] ?? '') as RequestId;
      if (!this.settle(id, text)) this.options.toClient(text);
    } else if (text.startsWith(NOTIFICATION_HEAD) && !text.startsWith(CANCELLED_HEAD)) this.options.toClient(text);
    else this.fromOwnerParsed(text);
  }

  /**
   * Begins the client's session with the present owner; resolves with false if that owner ends meanwhile. Rejects if it answers with another
   * version than the first owner did.
   */
  async resume(): Promise<boolean> {
    const { negotiated } = this;
    if (!negotiated) return true;
    const answer = await this.replay('initialize', negotiated.params);
    if (!answer) return false;
    if (!answer.result || answer.result.protocolVersion !== negotiated.version)
      throw new ExitError(
        EXIT.unreachable,
        `the gateway that took over does not go on with the session of revision ${JSON.stringify(negotiated.version)}. start it again.`,
      );
    if (this.initialized) this.restore();
    return true;
  }

  /** Answers the requests that an ended owner left open, withdraws its questions, and returns the lines to send to the next owner. */
  ownerEnded(): ClientLine[] {
    const again: ClientLine[] = [];
    const batches = new Map<ClientLine, string[]>();
    for (const [id, { method, line, batch, copies }] of this.open) {
      if (line) again.push(line);
      else {
        const { text } = encodeError(id, unansweredError(method), 'legacy');
        for (let copy = 0; copy < copies; copy += 1) {
          if (batch) batches.set(batch, [...(batches.get(batch) ?? []), text]);
          else this.options.toClient(text);
        }
      }
    }
    for (const texts of batches.values()) this.options.toClient(`[${texts.join(',')}]`);
    this.open.clear();
    for (const requestId of this.questions.keys())
      this.options.toClient(
        notificationText('notifications/cancelled', { requestId, reason: 'The gateway that asked has ended.' }),
      );
    this.questions.clear();
    for (const [, replay] of this.replays) replay.answer(undefined);
    return again;
  }

  private begin(id: RequestId, frame: RequestFrame | undefined, line: ClientLine): void {
    const known = this.open.get(id);
    if (known) {
      known.copies += 1;
      return;
    }
    const method = frame?.method ?? '';
    const repeatable = NO_CALLS.has(method) && !line.batch && line.text.length <= BOUNDS.relayRepeat;
    this.open.set(id, {
      method,
      copies: 1,
      batch: line.batch ? line : undefined,
      frame: SESSION_CHANGES.has(method) ? frame : undefined,
      line: repeatable ? line : undefined,
    });
  }

  private onNotification(method: string, { requestId }: JsonObject): void {
    if (method === 'notifications/initialized') this.initialized = this.negotiated !== undefined;
    // a cancelled call gets no answer (wire.md, Cancellation)
    else if (method === 'notifications/cancelled') this.open.delete(requestId as RequestId);
  }

  /** The client's answer to a question, with the owner's id; undefined if the question is not open. */
  private answerOf({ id, result, error }: ResponseFrame): string | undefined {
    const ownerId = id === undefined ? undefined : this.questions.get(id);
    if (id === undefined || ownerId === undefined) return undefined;
    this.questions.delete(id);
    return oneLine(error ? errorText(ownerId, error) : resultText(ownerId, JSON.stringify(result)));
  }

  /** Settles the request that an answer belongs to; returns whether it is one of the relay itself. */
  private settle(id: RequestId, text: string): boolean {
    const replay = this.replays.get(id);
    if (replay) {
      return replay.answer(readFrame(JSON.parse(text) as JsonValue) as ResponseFrame);
    }
    const open = this.open.get(id);
    if (!open || --open.copies > 0) return false;
    this.open.delete(id);
    if (open.frame) this.remember(open.frame, JSON.parse(text) as JsonObject);
    return false;
  }

  private remember({ method, params }: RequestFrame, { result }: JsonObject): void {
    if (!isObject(result)) return;
    if (method === 'initialize') this.negotiated = { params, version: result.protocolVersion };
    else if (method === 'logging/setLevel') this.logLevel = params.level;
    else if (method === 'resources/subscribe') this.subscriptions.add(params.uri as string);
    else this.subscriptions.delete(params.uri as string);
  }

  private fromOwnerParsed(text: string): void {
    const value = parseStrict(text, { depth: Infinity, uniqueKeys: false });
    if (Array.isArray(value)) {
      for (const one of value) if (isObject(one)) this.settle(one.id as RequestId, JSON.stringify(one));
      this.options.toClient(text);
      return;
    }
    const frame: Frame = readFrame(value);
    if (frame.kind === 'request') this.ask(frame);
    else if (frame.kind === 'notification') this.options.toClient(this.withdrawalOf(frame.params) ?? text);
    else if (frame.id === undefined || !this.settle(frame.id, text)) this.options.toClient(text);
  }

  private ask({ id, method, params }: RequestFrame): void {
    const { relayQuestions: most } = BOUNDS;
    if (this.questions.size >= most) {
      const error = new GatewayError('overloaded', `${most} questions wait for the client already.`);
      this.options.toOwner(encodeError(id, error, 'legacy').text);
      return;
    }
    const relayId = `${this.prefix}-${++this.count}`;
    this.questions.set(relayId, id);
    this.options.toClient(oneLine(requestText(relayId, method, params)));
  }

  /** The owner's withdrawal of a question, with the relay's id. Undefined if the notification ends a listener of the client instead. */
  private withdrawalOf(params: JsonObject): string | undefined {
    const [relayId] = [...this.questions].find(([, id]) => id === params.requestId) ?? [];
    if (relayId === undefined) {
      this.open.delete(params.requestId as RequestId);
      return undefined;
    }
    this.questions.delete(relayId);
    return oneLine(notificationText('notifications/cancelled', { ...params, requestId: relayId }));
  }

  private replay(method: string, params: JsonObject): Promise<ResponseFrame | undefined> {
    const id = `${this.prefix}-${++this.count}`;
    const { answered } = this.replays.begin(id, undefined);
    this.options.toOwner(oneLine(requestText(id, method, params)));
    return answered;
  }

  /** Restores log level and subscriptions at the owner, and notifies the client that lists and resources may have changed. */
  private restore(): void {
    this.options.toOwner(notificationText('notifications/initialized', {}));
    if (this.logLevel !== undefined) void this.replay('logging/setLevel', { level: this.logLevel });
    for (const uri of this.subscriptions) void this.resubscribe(uri);
    for (const kind of LISTS) this.options.toClient(notificationText(`notifications/${kind}/list_changed`, {}));
  }

  private async resubscribe(uri: string): Promise<void> {
    const answer = await this.replay('resources/subscribe', { uri });
    if (!answer) return;
    if (answer.error) {
      this.subscriptions.delete(uri);
      this.options.warn(`updates of ${uri} no longer arrive: ${answer.error.message}`);
    } else this.options.toClient(oneLine(notificationText('notifications/resources/updated', { uri })));
  }
}

/** The error for a request that an ended owner left open: the client may repeat one that only reads, but a tool may have taken effect. */
function unansweredError(method: string): GatewayError {
  const reads =
    method !== 'tools/call' && (CALL_METHODS.has(method) || NO_CALLS.has(method) || SESSION_CHANGES.has(method));
  return reads
    ? new GatewayError('shutting_down', 'The gateway ended before it answered. Another one takes over: ask again.')
    : new GatewayError(
        'gateway_closed',
        'The gateway ended during the call. Whether the call took effect is not known; look before you call again. Another gateway takes over.',
      );
}
