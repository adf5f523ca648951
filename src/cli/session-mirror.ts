// What a relay knows of its client's session: enough to begin the session again with another owner, and to answer in place of an owner that is gone.
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { RequestsInFlight } from '../core/requests-in-flight.ts';
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
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';
import { randomHex } from '../telemetry/trace.ts';
import { type ClientLine, idsOf } from './client-line.ts';
import { EXIT, ExitError } from './exit-codes.ts';

/** Most requests of the client without an answer; the owner's own limit is lower. */
const MAX_OPEN = 10_000;
/** Most questions of the owner without an answer. */
const MAX_QUESTIONS = 1_000;
/** A request up to this length that has no effect is kept, to be sent again. */
const KEPT_LENGTH = 64 * 1024;

/** Requests that are no calls: they have no effect and no record, so another owner may be asked instead. */
const NO_CALLS: ReadonlySet<string> = new Set(['initialize', 'ping', 'server/discover']);
/** Requests whose success the next owner must be told of. */
const SHAPING: ReadonlySet<string> = new Set([
  'initialize',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);
const LISTS = ['tools', 'prompts', 'resources'];

/** How the owner writes a response: its id and its kind are known without reading the rest. */
const RESPONSE_HEAD = /^\{"jsonrpc":"2\.0","id":("[^"\\]*(?:\\.[^"\\]*)*"|-?\d+),"(result|error)":/;
const NOTIFICATION_HEAD = '{"jsonrpc":"2.0","method":"notifications/';
const CANCELLED_HEAD = `${NOTIFICATION_HEAD}cancelled"`;

export interface RelayedWays {
  toOwner(text: string): void;
  toClient(text: string): void;
  /** Tells the user what could not be kept. */
  warn(words: string): void;
}

interface OpenRequest {
  readonly method: string;
  /** How many requests of this id have no answer; more than one only where the client errs. */
  copies: number;
  /** The batch that it came in. */
  readonly batch: ClientLine | undefined;
  /** Kept where its success changes the session. */
  readonly frame: RequestFrame | undefined;
  /** Kept where it may be sent again. */
  readonly line: ClientLine | undefined;
}

interface Agreed {
  readonly params: JsonObject;
  readonly version: JsonValue | undefined;
}

export class SessionMirror {
  private readonly ways: RelayedWays;
  private readonly open = new Map<RequestId, OpenRequest>();
  /** Questions by the id that the client knows; ids of two owners may be the same, those of the client never are. */
  private readonly questions = new Map<RequestId, RequestId>();
  /** Requests of the relay's own; the answer is undefined where the owner ended first. */
  private readonly replays = new RequestsInFlight<RequestId, undefined, ResponseFrame | undefined>();
  private readonly prefix = `mcp-gateway-relay-${randomHex(8)}`;
  private count = 0;
  private agreed: Agreed | undefined;
  private initialized = false;
  private logLevel: JsonValue | undefined;
  private readonly followed = new Set<string>();

  constructor(ways: RelayedWays) {
    this.ways = ways;
  }

  /** Passes a line of the client on. Throws `overloaded` where too many requests are open. */
  fromClient(line: ClientLine): void {
    if (this.open.size + idsOf(line).length > MAX_OPEN)
      throw new GatewayError('overloaded', `${MAX_OPEN} requests are in flight; wait for some to end.`);
    const texts = line.parts.flatMap(({ frame, text }) => {
      if (frame.kind === 'response') return this.answerOf(frame) ?? [];
      if (frame.kind === 'notification') this.onNotification(frame.method, frame.params);
      else if (frame.kind === 'request') this.begin(frame.id, frame, line);
      else if (frame.id !== undefined) this.begin(frame.id, undefined, line);
      return text;
    });
    if (texts.length > 0) this.ways.toOwner(line.batch ? `[${texts.join(',')}]` : texts.join());
    else if (line.parts.length === 0) this.ways.toOwner(line.text);
  }

  /** Passes a line of the owner on, unless it answers what the client did not ask. */
  fromOwner(text: string): void {
    const head = RESPONSE_HEAD.exec(text);
    if (head) {
      const id = JSON.parse(head[1] ?? '') as RequestId;
      if (!this.settle(id, text)) this.ways.toClient(text);
    } else if (text.startsWith(NOTIFICATION_HEAD) && !text.startsWith(CANCELLED_HEAD)) this.ways.toClient(text);
    else this.fromOwnerRead(text);
  }

  /**
   * Begins the client's session with the owner that is there now; resolves with false where that one ended meanwhile.
   * Rejects where it does not agree on what the client was told.
   */
  async resume(): Promise<boolean> {
    const { agreed } = this;
    if (!agreed) return true;
    const answer = await this.replay('initialize', agreed.params);
    if (!answer) return false;
    if (!answer.result || answer.result.protocolVersion !== agreed.version)
      throw new ExitError(
        EXIT.unreachable,
        `the gateway that took over does not go on with the session of revision ${JSON.stringify(agreed.version)}. start it again.`,
      );
    if (this.initialized) this.restore();
    return true;
  }

  /** The owner has ended. Answers what it left unanswered, and returns what may be sent to the next one instead. */
  lost(): ClientLine[] {
    const again: ClientLine[] = [];
    const batches = new Map<ClientLine, string[]>();
    for (const [id, { method, line, batch, copies }] of this.open) {
      if (line) again.push(line);
      else {
        const { text } = encodeError(id, lostError(method), 'legacy');
        for (let copy = 0; copy < copies; copy += 1) {
          if (batch) batches.set(batch, [...(batches.get(batch) ?? []), text]);
          else this.ways.toClient(text);
        }
      }
    }
    for (const texts of batches.values()) this.ways.toClient(`[${texts.join(',')}]`);
    this.open.clear();
    for (const requestId of this.questions.keys())
      this.ways.toClient(
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
    const repeatable = NO_CALLS.has(method) && !line.batch && line.text.length <= KEPT_LENGTH;
    this.open.set(id, {
      method,
      copies: 1,
      batch: line.batch ? line : undefined,
      frame: SHAPING.has(method) ? frame : undefined,
      line: repeatable ? line : undefined,
    });
  }

  private onNotification(method: string, { requestId }: JsonObject): void {
    if (method === 'notifications/initialized') this.initialized = this.agreed !== undefined;
    // nothing is sent for a cancelled call (wire.md, Cancellation)
    else if (method === 'notifications/cancelled') this.open.delete(requestId as RequestId);
  }

  /** The client's answer under the id that the owner knows; undefined where nobody waits for it any more. */
  private answerOf({ id, result, error }: ResponseFrame): string | undefined {
    const asked = id === undefined ? undefined : this.questions.get(id);
    if (id === undefined || asked === undefined) return undefined;
    this.questions.delete(id);
    return oneLine(error ? errorText(asked, error) : resultText(asked, JSON.stringify(result)));
  }

  /** Takes note of an answer; returns true where it is to a request of our own. */
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
    if (method === 'initialize') this.agreed = { params, version: result.protocolVersion };
    else if (method === 'logging/setLevel') this.logLevel = params.level;
    else if (method === 'resources/subscribe') this.followed.add(params.uri as string);
    else this.followed.delete(params.uri as string);
  }

  private fromOwnerRead(text: string): void {
    const value = parseStrict(text, { depth: Infinity, uniqueKeys: false });
    if (Array.isArray(value)) {
      for (const one of value) if (isObject(one)) this.settle(one.id as RequestId, JSON.stringify(one));
      this.ways.toClient(text);
      return;
    }
    const frame: Frame = readFrame(value);
    if (frame.kind === 'request') this.ask(frame);
    else if (frame.kind === 'notification') this.ways.toClient(this.cancelledOf(frame.params) ?? text);
    else if (frame.id === undefined || !this.settle(frame.id, text)) this.ways.toClient(text);
  }

  private ask({ id, method, params }: RequestFrame): void {
    if (this.questions.size >= MAX_QUESTIONS) {
      const error = new GatewayError('overloaded', `${MAX_QUESTIONS} questions wait for the client already.`);
      this.ways.toOwner(encodeError(id, error, 'legacy').text);
      return;
    }
    const own = `${this.prefix}-${++this.count}`;
    this.questions.set(own, id);
    this.ways.toClient(oneLine(requestText(own, method, params)));
  }

  /** The owner takes a question back, told under the id that the client knows; else it ends what the client listens to. */
  private cancelledOf(params: JsonObject): string | undefined {
    const [known] = [...this.questions].find(([, id]) => id === params.requestId) ?? [];
    if (known === undefined) {
      this.open.delete(params.requestId as RequestId);
      return undefined;
    }
    this.questions.delete(known);
    return oneLine(notificationText('notifications/cancelled', { ...params, requestId: known }));
  }

  private replay(method: string, params: JsonObject): Promise<ResponseFrame | undefined> {
    const id = `${this.prefix}-${++this.count}`;
    const { answered } = this.replays.begin(id, undefined);
    this.ways.toOwner(oneLine(requestText(id, method, params)));
    return answered;
  }

  /** Tells the owner what the client had set, and the client that anything may have changed meanwhile. */
  private restore(): void {
    this.ways.toOwner(notificationText('notifications/initialized', {}));
    if (this.logLevel !== undefined) void this.replay('logging/setLevel', { level: this.logLevel });
    for (const uri of this.followed) void this.follow(uri);
    for (const kind of LISTS) this.ways.toClient(notificationText(`notifications/${kind}/list_changed`, {}));
  }

  private async follow(uri: string): Promise<void> {
    const answer = await this.replay('resources/subscribe', { uri });
    if (!answer) return;
    if (answer.error) {
      this.followed.delete(uri);
      this.ways.warn(`changes of ${uri} are not told any more: ${answer.error.message}`);
    } else this.ways.toClient(oneLine(notificationText('notifications/resources/updated', { uri })));
  }
}

/** Why a request has no answer: what only reads may be asked again, of a tool nobody knows what it has done. */
function lostError(method: string): GatewayError {
  const reads = method !== 'tools/call' && (CALL_METHODS.has(method) || NO_CALLS.has(method) || SHAPING.has(method));
  return reads
    ? new GatewayError('shutting_down', 'The gateway ended before it answered. Another one takes over: ask again.')
    : new GatewayError(
        'gateway_closed',
        'The gateway ended during the call. Whether the call took effect is not known; look before you call again. Another gateway takes over.',
      );
}
