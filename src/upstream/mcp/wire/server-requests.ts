// The requests of one server to its callers: each is open until it is answered, withdrawn, or its call has ended.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { Cancellation } from '../../../core/cancellation.ts';
import { type ErrorCode, ERRORS, GatewayError, reasonOf, toGatewayError } from '../../../core/errors.ts';
import { FairShare } from '../../../core/fair-share.ts';
import type { JsonValue } from '../../../core/json.ts';
import type { RpcError } from '../../../core/reply.ts';
import { errorText, type RequestFrame, type RequestId, resultText } from '../../../protocol/mcp/frames.ts';
import { withoutProtocolMeta } from '../../../protocol/mcp/meta.ts';
import { relatedTaskOf } from '../../../protocol/mcp/tasks.ts';
import type { Pending } from './pending.ts';
import type { WireEvents } from './wire.ts';

export interface ServerRequestsOptions {
  readonly events: Pick<WireEvents, 'question' | 'noise'>;
  /** Sends an answer to the server. Never throws; `failed` is told of one that cannot be delivered. */
  send(text: string, failed?: (error: unknown) => void): void;
}

/** Whose a message of the server is, as far as that can be told. */
export interface Asker {
  readonly call: Pending | undefined;
  /** Who has to answer for it: a principal, else the task that it names; undefined where neither can be told. */
  readonly owner: string | undefined;
  /** Calls in flight. */
  readonly inFlight: number;
}

interface OpenQuestion {
  readonly owner: string | undefined;
  readonly cancellation: Cancellation;
  readonly call: Pending | undefined;
  unlink: (() => void) | undefined;
}

interface EarlyQuestion {
  readonly owner: string | undefined;
  readonly timer: NodeJS.Timeout;
}

/**
 * Whose a message is on a channel that does not say (design, Instances): that of the only call in flight; with more of them it is
 * nobody's, and nothing is guessed.
 */
export function attribute(pending: readonly Pending[]): Asker {
  const calls = pending.filter((each) => each.isCall);
  return askerOf(calls.length === 1 ? calls[0] : undefined, calls.length);
}

/** The asker that is this call; nobody where there is none. */
export function askerOf(call: Pending | undefined, inFlight: number): Asker {
  return { call, owner: call?.request.principal, inFlight };
}

/** The questions of one connection. While one is open the clocks of its call stand still (wire.md, Questions 5). */
export class ServerRequests {
  private readonly options: ServerRequestsOptions;
  private readonly open = new Map<RequestId, OpenQuestion>();
  /** How many each owner has of both; `''` is whoever cannot be told. */
  private readonly shares = new FairShare({ most: BOUNDS.serverRequests, mostOfOne: BOUNDS.serverRequestsOfOwner });
  /** Questions that are taken in a moment. */
  private readonly early = new Map<RequestId, EarlyQuestion>();

  constructor(options: ServerRequestsOptions) {
    this.options = options;
  }

  /** Takes a question, and sends the server its answer when there is one. */
  accept(frame: RequestFrame, asker: Asker): void {
    if (asker.call?.done === true)
      this.refuse(frame.id, 'cancelled', { message: 'The call that this belongs to has ended.' });
    else if (this.admits(frame.id, asker)) void this.put(frame, asker);
  }

  /** As `take`, some milliseconds later, when it may be plain whose it is; unless it is taken back, or nobody is there any more by then. */
  acceptLater(frame: RequestFrame, ms: number, askerOf: () => Asker): void {
    const { id } = frame;
    const asker = askerOf();
    if (!this.admits(id, asker)) return;
    const due = () => {
      this.forgetEarly(id);
      this.accept(frame, askerOf());
    };
    this.early.set(id, { owner: asker.owner, timer: setTimeout(due, ms) });
    this.shares.take(asker.owner ?? '');
  }

  /** Answers a request of the server with an error; `call` is the one that waits for it. */
  refuse(id: RequestId, code: ErrorCode, { message, call }: { message: string; call?: Pending | undefined }): void {
    this.send(errorText(id, rpcErrorOf(new GatewayError(code, message))), call);
  }

  /** The server takes a question back: nothing is sent for it (basic/utilities/cancellation). */
  withdraw(id: JsonValue | undefined): void {
    if (typeof id !== 'string' && typeof id !== 'number') return;
    this.forgetEarly(id);
    this.abort(id, this.open.get(id));
  }

  /** The channel is gone, and with it whoever asked. */
  close(): void {
    for (const id of this.early.keys()) this.forgetEarly(id);
    for (const [id, question] of this.open) this.abort(id, question);
  }

  private admits(id: RequestId, { call, owner }: Asker): boolean {
    // an error under this id would be taken for the answer to the question that is open, so there is none
    if (this.open.has(id) || this.early.has(id)) {
      this.options.events.noise('a question with the id of one that is still open; it was ignored');
      return false;
    }
    const isFull = this.shares.free <= 0;
    if (!isFull && !this.shares.isFullFor(owner ?? '')) return true;
    const message = isFull
      ? `${BOUNDS.serverRequests} questions of this server are open.`
      : `${BOUNDS.serverRequestsOfOwner} questions of this server to the same caller are open.`;
    this.refuse(id, 'overloaded', { message, call });
    return false;
  }

  private forgetEarly(id: RequestId): void {
    const question = this.early.get(id);
    if (!question) return;
    clearTimeout(question.timer);
    this.early.delete(id);
    this.shares.giveBack(question.owner ?? '');
  }

  /** A server that cannot be given an answer waits for it in vain, and so would the call that it asked for. */
  private send(text: string, call: Pending | undefined): void {
    this.options.send(text, (error) => {
      const why = `An answer to the server, which asked during the call, could not be delivered: ${reasonOf(error)}`;
      call?.abandon(new GatewayError('upstream_closed', why, { cause: error }));
    });
  }

  private async put({ id, method, params }: RequestFrame, { call, owner, inFlight }: Asker): Promise<void> {
    const question: OpenQuestion = { owner, cancellation: new Cancellation(), call, unlink: undefined };
    this.open.set(id, question);
    this.shares.take(owner ?? '');
    call?.signOfLife();
    call?.deadline?.hold();
    question.unlink = call?.onEnd(() => this.abort(id, question));
    const text = await this.ask(id, {
      method,
      params: withoutProtocolMeta(params),
      signal: question.cancellation.signal,
      exchange: call?.request.exchange,
      session: call?.request.session,
      onCallEnd: call && ((listener) => call.onEnd(listener)),
      ofTask: relatedTaskOf(params),
      inFlight,
    });
    if (this.end(id, question)) this.send(text, call);
  }

  private async ask(id: RequestId, asked: Parameters<WireEvents['question']>[0]): Promise<string> {
    const { events } = this.options;
    try {
      const answer = await events.question(asked);
      return 'result' in answer ? resultText(id, JSON.stringify(answer.result)) : errorText(id, answer.error);
    } catch (error) {
      if (!(error instanceof GatewayError)) events.noise(`a question could not be answered: ${reasonOf(error)}`);
      return errorText(id, rpcErrorOf(toGatewayError(error)));
    }
  }

  private abort(id: RequestId, question: OpenQuestion | undefined): void {
    if (question && this.end(id, question)) question.cancellation.abort();
  }

  /** Returns whether the question was still open. */
  private end(id: RequestId, question: OpenQuestion): boolean {
    if (this.open.get(id) !== question) return false;
    this.open.delete(id);
    this.shares.giveBack(question.owner ?? '');
    question.unlink?.();
    question.call?.deadline?.release();
    return true;
  }
}

function rpcErrorOf({ code, message, data }: GatewayError): RpcError {
  return { code: ERRORS[code].jsonRpc, message, data: { ...data, reason: code } };
}
