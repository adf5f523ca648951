// The requests of one server to its callers: each is open until it is answered or withdrawn, or its call ends.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { Cancellation } from '../../../core/cancellation.ts';
import { type ErrorCode, ERRORS, GatewayError, reasonOf, toGatewayError } from '../../../core/errors.ts';
import { FairShare } from '../../../core/fair-share.ts';
import type { JsonValue } from '../../../core/json.ts';
import type { RpcError } from '../../../core/reply.ts';
import { errorText, type RequestFrame, type RequestId, resultText } from '../../../protocol/mcp/frames.ts';
import { withoutProtocolMeta } from '../../../protocol/mcp/vocabulary.ts';
import { relatedTaskOf } from '../../../protocol/mcp/tasks.ts';
import type { Pending } from './pending.ts';
import type { ServerRequest, WireEvents } from './wire.ts';

export interface ServerRequestsOptions {
  readonly events: Pick<WireEvents, 'serverRequest' | 'diagnostic'>;
  /** Sends an answer to the server. Never throws; calls `failed` if it cannot be delivered. */
  send(text: string, failed?: (error: unknown) => void): void;
}

/** What a message of the server belongs to. */
export interface Attribution {
  /** Undefined if it belongs to no single call. */
  readonly call: Pending | undefined;
  /** The principal that has to answer, or the task that the message names; undefined if neither is known. */
  readonly owner: string | undefined;
  /** Calls in flight. */
  readonly inFlight: number;
}

interface OpenRequest {
  readonly owner: string | undefined;
  readonly cancellation: Cancellation;
  /** The call that the request belongs to. Undefined also while the gateway delays the request, until a call follows its task. */
  readonly call: Pending | undefined;
  /** Removes what waits for its end: the listener at the call, or the timer of the delay. */
  unlink: (() => void) | undefined;
}

/** Attributes a message to the only call in flight. With several calls it belongs to none, since the channel does not show which (design, Instances). */
export function attributeToOnlyCall(pending: readonly Pending[]): Attribution {
  const calls = pending.filter((each) => each.isCall);
  return attributeTo(calls.length === 1 ? calls[0] : undefined, calls.length);
}

/** Attributes a message to this call, or to none. */
export function attributeTo(call: Pending | undefined, inFlight: number): Attribution {
  return { call, owner: call?.request.principal, inFlight };
}

/** The requests of one connection. While one is open, the clocks of its call are stopped (wire.md, Questions 5). */
export class ServerRequests {
  private readonly options: ServerRequestsOptions;
  private readonly open = new Map<RequestId, OpenRequest>();
  /** Open requests by owner; `''` if the owner is not known. */
  private readonly shares = new FairShare({ most: BOUNDS.serverRequests, mostOfOne: BOUNDS.serverRequestsOfOwner });

  constructor(options: ServerRequestsOptions) {
    this.options = options;
  }

  /** Passes a request on, and sends the answer to the server when there is one. */
  accept(frame: RequestFrame, attribution: Attribution): void {
    if (attribution.call?.done === true)
      this.refuse(frame.id, 'cancelled', { message: 'The call that this belongs to has ended.' });
    else if (this.admits(frame.id, attribution)) void this.pass(frame, attribution);
  }

  /** Like `accept`, after so many ms, when the request may be attributable; not if it is withdrawn or the channel closes before. */
  acceptLater(frame: RequestFrame, ms: number, attribute: () => Attribution): void {
    const { id } = frame;
    const attribution = attribute();
    if (!this.admits(id, attribution)) return;
    const request = this.begin(id, { ...attribution, call: undefined });
    const timer = setTimeout(() => {
      if (this.end(id, request)) this.accept(frame, attribute());
    }, ms);
    request.unlink = () => clearTimeout(timer);
  }

  /** Answers a request of the server with an error; `call` is the call that it belongs to. */
  refuse(id: RequestId, code: ErrorCode, { message, call }: { message: string; call?: Pending | undefined }): void {
    this.send(errorText(id, rpcErrorOf(new GatewayError(code, message))), call);
  }

  /** The server withdraws a request, so it gets no answer (basic/utilities/cancellation). */
  withdraw(id: JsonValue | undefined): void {
    if (typeof id !== 'string' && typeof id !== 'number') return;
    this.abort(id, this.open.get(id));
  }

  /** The channel is closed. */
  close(): void {
    for (const [id, request] of this.open) this.abort(id, request);
  }

  private admits(id: RequestId, { call, owner }: Attribution): boolean {
    // the server would take an error with this id for the answer to the open request, so it gets none
    if (this.open.has(id)) {
      this.options.events.diagnostic('a question with the id of one that is still open; it was ignored');
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

  private begin(id: RequestId, { call, owner }: Attribution): OpenRequest {
    const request: OpenRequest = { owner, cancellation: new Cancellation(), call, unlink: undefined };
    this.open.set(id, request);
    this.shares.take(owner ?? '');
    return request;
  }

  /** If the answer cannot be delivered, the server waits for it in vain, so the call fails. */
  private send(text: string, call: Pending | undefined): void {
    this.options.send(text, (error) => {
      const why = `An answer to the server, which asked during the call, could not be delivered: ${reasonOf(error)}`;
      call?.abandon(new GatewayError('upstream_closed', why, { cause: error }));
    });
  }

  private async pass({ id, method, params }: RequestFrame, attribution: Attribution): Promise<void> {
    const { call, inFlight } = attribution;
    const request = this.begin(id, attribution);
    call?.signOfLife();
    call?.deadline?.hold();
    request.unlink = call?.onEnd(() => this.abort(id, request));
    const text = await this.answerTo(id, {
      method,
      params: withoutProtocolMeta(params),
      signal: request.cancellation.signal,
      exchange: call?.request.exchange,
      session: call?.request.session,
      onCallEnd: call && ((listener) => call.onEnd(listener)),
      serverTask: relatedTaskOf(params),
      inFlight,
    });
    if (this.end(id, request)) this.send(text, call);
  }

  private async answerTo(id: RequestId, request: ServerRequest): Promise<string> {
    const { events } = this.options;
    try {
      const answer = await events.serverRequest(request);
      return 'result' in answer ? resultText(id, JSON.stringify(answer.result)) : errorText(id, answer.error);
    } catch (error) {
      if (!(error instanceof GatewayError)) events.diagnostic(`a question could not be answered: ${reasonOf(error)}`);
      return errorText(id, rpcErrorOf(toGatewayError(error)));
    }
  }

  private abort(id: RequestId, request: OpenRequest | undefined): void {
    if (request && this.end(id, request)) request.cancellation.abort();
  }

  /** Returns whether the request was still open. */
  private end(id: RequestId, request: OpenRequest): boolean {
    if (this.open.get(id) !== request) return false;
    this.open.delete(id);
    this.shares.giveBack(request.owner ?? '');
    request.unlink?.();
    request.call?.deadline?.release();
    return true;
  }
}

function rpcErrorOf({ code, message, data }: GatewayError): RpcError {
  return { code: ERRORS[code].jsonRpc, message, data: { ...data, reason: code } };
}
