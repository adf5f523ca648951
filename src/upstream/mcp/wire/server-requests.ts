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
import { askedOf, onLastEnd } from './asked-calls.ts';
import type { Pending } from './pending.ts';
import type { ServerRequest, WireEvents } from './wire.ts';

export interface ServerRequestsOptions {
  readonly events: Pick<WireEvents, 'serverRequest' | 'diagnostic'>;
  /** Sends an answer to the server. Never throws; calls `failed` if it cannot be delivered. */
  send(text: string, failed?: (error: unknown) => void): void;
}

/** What a message of the server belongs to. */
export interface Attribution {
  /**
   * The call that it belongs to. Where the channel does not show that, all calls in flight if they are of one owner, the oldest first: it
   * belongs to one of them. Empty if their owners differ.
   */
  readonly calls: readonly Pending[];
  /** The principal that has to answer, or the task that the message names; undefined if neither is known. */
  readonly owner: string | undefined;
  /** Calls in flight. */
  readonly inFlight: number;
}

interface OpenRequest {
  readonly owner: string | undefined;
  readonly cancellation: Cancellation;
  /** The calls that the request may belong to. None while the gateway delays the request, until a call follows its task. */
  readonly calls: readonly Pending[];
  /** Removes what waits for its end: the listeners at the calls, or the timer of the delay. */
  unlink: (() => void) | undefined;
}

/**
 * Attributes a message that names no call to the calls in flight, if all are of one session or principal: that is no guess, because the
 * message is theirs (design, Instances). `isOwned`: all calls of the channel are of one owner.
 */
export function attributeToOwner(pending: readonly Pending[], isOwned: boolean): Attribution {
  const calls = pending.filter((each) => each.isCall).sort((a, b) => a.startedAt - b.startedAt);
  const isOfOne = isOwned || new Set(calls.map(ownerOf)).size === 1;
  return attributeTo(isOfOne ? calls : [], calls.length);
}

/** A legacy session, or the principal of a client that has none. */
function ownerOf({ request: { session, principal } }: Pending): unknown {
  return session ?? principal;
}

/** Attributes a message to these calls. */
export function attributeTo(calls: readonly Pending[], inFlight: number): Attribution {
  return { calls, owner: calls[0]?.request.principal, inFlight };
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
    const { calls } = attribution;
    if (calls.length > 0 && calls.every(({ done }) => done))
      this.refuse(frame.id, 'cancelled', { message: 'The call that this belongs to has ended.' });
    else if (this.admits(frame.id, attribution)) void this.pass(frame, attribution);
  }

  /** Like `accept`, after so many ms, when the request may be attributable; not if it is withdrawn or the channel closes before. */
  acceptLater(frame: RequestFrame, ms: number, attribute: () => Attribution): void {
    const { id } = frame;
    const attribution = attribute();
    if (!this.admits(id, attribution)) return;
    const request = this.begin(id, { ...attribution, calls: [] });
    const timer = setTimeout(() => {
      if (this.end(id, request)) this.accept(frame, attribute());
    }, ms);
    request.unlink = () => clearTimeout(timer);
  }

  /** Answers a request of the server with an error; `calls` are those that it may belong to. */
  refuse(
    id: RequestId,
    code: ErrorCode,
    { message, calls = [] }: { message: string; calls?: readonly Pending[] },
  ): void {
    this.send(errorText(id, rpcErrorOf(new GatewayError(code, message))), calls);
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

  private admits(id: RequestId, { calls, owner }: Attribution): boolean {
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
    this.refuse(id, 'overloaded', { message, calls });
    return false;
  }

  private begin(id: RequestId, { calls, owner }: Attribution): OpenRequest {
    const request: OpenRequest = { owner, cancellation: new Cancellation(), calls, unlink: undefined };
    this.open.set(id, request);
    this.shares.take(owner ?? '');
    return request;
  }

  /** If the answer cannot be delivered, the server waits for it in vain, so its call fails. Which of several that is, the clocks show. */
  private send(text: string, [call, ...others]: readonly Pending[]): void {
    this.options.send(text, (error) => {
      if (others.length > 0) return;
      const why = `An answer to the server, which asked during the call, could not be delivered: ${reasonOf(error)}`;
      call?.abandon(new GatewayError('upstream_closed', why, { cause: error }));
    });
  }

  private async pass({ id, method, params }: RequestFrame, attribution: Attribution): Promise<void> {
    const { calls, inFlight } = attribution;
    const request = this.begin(id, attribution);
    for (const call of calls) {
      call.signOfLife();
      call.deadline?.hold();
    }
    request.unlink = onLastEnd(calls, () => this.abort(id, request));
    const text = await this.answerTo(id, {
      method,
      params: withoutProtocolMeta(params),
      signal: request.cancellation.signal,
      exchange: askedOf(calls),
      session: calls[0]?.request.session,
      ...(calls.length > 0 && { onCallEnd: (listener) => onLastEnd(calls, listener) }),
      serverTask: relatedTaskOf(params),
      inFlight,
    });
    if (this.end(id, request)) this.send(text, calls);
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
    for (const { deadline } of request.calls) deadline?.release();
    return true;
  }
}

function rpcErrorOf({ code, message, data }: GatewayError): RpcError {
  return { code: ERRORS[code].jsonRpc, message, data: { ...data, reason: code } };
}
