// Routes the requests and notifications of a server to calls, the owner or the connection, and limits how many pass.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { ClientSession } from '../../../core/exchange.ts';
import { type JsonObject, type JsonValue, numberOf } from '../../../core/json.ts';
import { type NotificationFrame, type RequestFrame, resultText } from '../../../protocol/mcp/frames.ts';
import { META, withoutProtocolMeta } from '../../../protocol/mcp/vocabulary.ts';
import { relatedTaskOf } from '../../../protocol/mcp/tasks.ts';
import { type Pending, RateLimit } from './pending.ts';
import { attributeTo, attributeToOwner, type Attribution, ServerRequests } from './server-requests.ts';
import type { WireEvents } from './wire.ts';

export interface InboundRouterOptions {
  readonly events: WireEvents;
  /** All requests in flight. */
  pending(): readonly Pending[];
  /** The request in flight with this id. */
  find(id: number): Pending | undefined;
  /** Sends a message to the server. Never throws; calls `failed` if the message cannot be delivered. */
  send(text: string, failed?: (error: unknown) => void): void;
}

export class InboundRouter {
  private readonly options: InboundRouterOptions;
  private readonly serverRequests: ServerRequests;
  private readonly rate = new RateLimit(BOUNDS.connectionMessages);
  private readonly answeredLast = new AnsweredLast();
  private modern = false;
  private dropped = 0;

  constructor(options: InboundRouterOptions) {
    this.options = options;
    this.serverRequests = new ServerRequests(options);
  }

  adopt(era: 'legacy' | 'modern'): void {
    this.modern = era === 'modern';
  }

  /** `own` is the request whose stream the frame came on; absent on a channel that all requests share. */
  accept(frame: RequestFrame | NotificationFrame, own?: Pending): void {
    if (frame.kind === 'request') this.onRequest(frame, own);
    else this.onNotification(frame, own);
  }

  /** Reports something that is not MCP, unless there are too many messages. */
  diagnostic(text: string): void {
    if (this.admits()) this.options.events.diagnostic(text);
  }

  /** A call was answered. Some servers send its last log lines a moment later (wire.md, Logging). */
  answered({ isCall, request: { session } }: Pending): void {
    if (isCall) this.answeredLast.add(session);
  }

  /** The channel is closed. */
  close(): void {
    this.serverRequests.close();
    if (this.dropped > 0)
      this.options.events.diagnostic(`${this.dropped} messages beyond the limits were dropped in all`);
    this.dropped = 0;
  }

  private onRequest(frame: RequestFrame, own: Pending | undefined): void {
    if (!this.admits()) return;
    if (frame.method === 'ping') this.options.send(resultText(frame.id, '{}'));
    else if (this.modern)
      this.serverRequests.refuse(frame.id, 'method_not_found', {
        message: 'A client of 2026-07-28 takes no requests.',
      });
    else this.onServerRequest(frame, own);
  }

  /** A server may send a request for a task right after it made the task. The request waits for a moment, until somebody follows the task. */
  private onServerRequest(frame: RequestFrame, own: Pending | undefined): void {
    const task = relatedTaskOf(frame.params);
    const attribute = () => this.attribute(frame, own);
    if (task === undefined || this.findByTask(task)) this.serverRequests.accept(frame, attribute());
    else this.serverRequests.acceptLater(frame, BOUNDS.serverRequestOfTask, attribute);
  }

  private onNotification({ method, params }: NotificationFrame, own: Pending | undefined): void {
    if (method === 'notifications/progress') this.onProgress(params, own);
    else if (method === 'notifications/message') this.onLog(params, own);
    else if (method === 'notifications/cancelled') this.serverRequests.withdraw(params.requestId);
    // the receiver collects changes of lists, so they need no limit
    else if (method.endsWith('/list_changed') || this.admits()) this.onOtherNotification(method, params, own);
  }

  /** Progress of a request that has just ended is no error, and is dropped (basic/utilities/progress). */
  private onProgress(params: JsonObject, own: Pending | undefined): void {
    const task = relatedTaskOf(params);
    // the token of a call that became a task stays in use: its progress goes to the request that waits for the task
    const pending = task === undefined ? this.findById(params.progressToken) : this.findByTask(task);
    if (numberOf(params.progress) === undefined) this.diagnostic('progress without a number');
    else if (pending && (!own || own === pending) && !pending.progress(params)) this.drop();
  }

  /** A log line that belongs to no call goes to the connection. Keys of the protocol are removed (wire.md, Logging and Shapes across eras). */
  private onLog(received: JsonObject, own: Pending | undefined): void {
    const params = withoutProtocolMeta(received);
    const { calls, inFlight } = own ? attributeTo(callsOf(own), 1) : this.attributeToOwner();
    for (const each of calls) each.signOfLife();
    const call = calls.find((each) => each.wantsLog(params.level)) ?? calls[0];
    if (call) {
      if (!call.log(params)) this.drop();
    } else if (this.admits()) {
      const session = inFlight === 0 ? this.answeredLast.session : undefined;
      if (session) session.standing.log(params);
      else this.options.events.log(params);
    }
  }

  /** A listener gets its own notifications; all others go to the connection, whatever stream they came on. */
  private onOtherNotification(method: string, params: JsonObject, own: Pending | undefined): void {
    const meta = params._meta as JsonObject | undefined;
    const listener = own ?? this.findById(meta?.[META.subscriptionId]);
    if (listener?.request.onNotification) listener.notify(method, params);
    else this.options.events.notification(method, params);
  }

  private attribute({ method, params }: RequestFrame, own: Pending | undefined): Attribution {
    const { events } = this.options;
    const byOwner = this.attributeToOwner();
    const { inFlight } = byOwner;
    const task = relatedTaskOf(params);
    // a request for a task may come on any stream, and belongs to the task alone
    if (task !== undefined) {
      const waiting = this.findByTask(task);
      const owner = waiting?.request.principal ?? `\n${task}`; // no principal has such an id
      return { calls: waiting && !waiting.request.keptTask ? [waiting] : [], owner, inFlight };
    }
    if (own) return attributeTo(callsOf(own), inFlight);
    return events.isForOwner?.(method) === true ? attributeTo([], inFlight) : byOwner;
  }

  private attributeToOwner(): Attribution {
    return attributeToOwner(this.options.pending(), this.options.events.isOwned === true);
  }

  private findById(id: JsonValue | undefined): Pending | undefined {
    const number = numberOf(id);
    return number === undefined ? undefined : this.options.find(number);
  }

  private findByTask(task: string): Pending | undefined {
    return this.options.pending().find(({ request }) => request.task === task);
  }

  private admits(): boolean {
    if (this.rate.admits()) return true;
    this.drop();
    return false;
  }

  /** Counts dropped messages, and reports the first one. */
  private drop(): void {
    if (this.dropped++ > 0) return;
    this.options.events.diagnostic('it sends more than is taken in a second; what is beyond it is dropped and counted');
  }
}

/** The only session whose calls were answered within the last second. */
class AnsweredLast {
  private only: ClientSession | undefined;
  /** Monotonic ms. */
  private at = -Infinity;

  get session(): ClientSession | undefined {
    return this.isRecent ? this.only : undefined;
  }

  /** Undefined: the call was of a client without a session. */
  add(session: ClientSession | undefined): void {
    this.only = this.isRecent && this.only !== session ? undefined : session;
    this.at = performance.now();
  }

  private get isRecent(): boolean {
    return performance.now() - this.at < BOUNDS.lateLogLine;
  }
}

/** The call of a pending request; none for the gateway's own requests. */
function callsOf(pending: Pending): readonly Pending[] {
  return pending.isCall || pending.request.task !== undefined ? [pending] : [];
}
