// What a server sends without being asked: whose it is, and how much of it is let through.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { type JsonObject, type JsonValue, numberOf } from '../../../core/json.ts';
import { type NotificationFrame, type RequestFrame, resultText } from '../../../protocol/mcp/frames.ts';
import { META, withoutProtocolMeta } from '../../../protocol/mcp/meta.ts';
import { relatedTaskOf } from '../../../protocol/mcp/tasks.ts';
import type { Pending } from './pending.ts';
import { type Asker, askerOf, attribute, ServerRequests } from './server-requests.ts';
import { RateLimit } from './rate-limit.ts';
import type { WireEvents } from './wire.ts';

export interface InboundRouterOptions {
  readonly events: WireEvents;
  /** Everything in flight. */
  pending(): readonly Pending[];
  /** The request in flight with this id. */
  find(id: number): Pending | undefined;
  /** Sends a message to the server. Never throws; `failed` is told of one that cannot be delivered. */
  send(text: string, failed?: (error: unknown) => void): void;
}

/** Sorts the requests and notifications of one connection. */
export class InboundRouter {
  private readonly options: InboundRouterOptions;
  private readonly questions: ServerRequests;
  private readonly rate = new RateLimit(BOUNDS.connectionMessages);
  private modern = false;
  private dropped = 0;

  constructor(options: InboundRouterOptions) {
    this.options = options;
    this.questions = new ServerRequests(options);
  }

  adopt(era: 'legacy' | 'modern'): void {
    this.modern = era === 'modern';
  }

  /** `own` is the request whose stream it came on; absent on a channel that everything shares. */
  accept(frame: RequestFrame | NotificationFrame, own?: Pending): void {
    if (frame.kind === 'request') this.onRequest(frame, own);
    else this.onNotification(frame, own);
  }

  /** Tells the server's own log of something that is not MCP, unless there is too much of it. */
  noise(what: string): void {
    if (this.admits()) this.options.events.noise(what);
  }

  /** The channel is gone. */
  close(): void {
    this.questions.close();
    if (this.dropped > 0) this.options.events.noise(`${this.dropped} messages beyond the limits were dropped in all`);
    this.dropped = 0;
  }

  private onRequest(frame: RequestFrame, own: Pending | undefined): void {
    if (!this.admits()) return;
    if (frame.method === 'ping') this.options.send(resultText(frame.id, '{}'));
    else if (this.modern)
      this.questions.refuse(frame.id, 'method_not_found', { message: 'A client of 2026-07-28 takes no requests.' });
    else this.onQuestion(frame, own);
  }

  /** A task may ask in the same breath in which it is made: whoever is to follow it gets a moment to do so. */
  private onQuestion(frame: RequestFrame, own: Pending | undefined): void {
    const task = relatedTaskOf(frame.params);
    const askerOf = () => this.askerOf(frame, own);
    if (task === undefined || this.findByTask(task)) this.questions.accept(frame, askerOf());
    else this.questions.acceptLater(frame, BOUNDS.serverRequestOfTask, askerOf);
  }

  private onNotification({ method, params }: NotificationFrame, own: Pending | undefined): void {
    if (method === 'notifications/progress') this.onProgress(params, own);
    else if (method === 'notifications/message') this.onLog(params, own);
    else if (method === 'notifications/cancelled') this.questions.withdraw(params.requestId);
    // news of the offer are collected where they are taken, so none is too many
    else if (method.endsWith('/list_changed') || this.admits()) this.onNews(method, params, own);
  }

  /** One of a request that has just ended is no mistake, and nobody's (basic/utilities/progress). */
  private onProgress(params: JsonObject, own: Pending | undefined): void {
    const task = relatedTaskOf(params);
    // a token outlives its call where a task came of it; what is told of the task goes to whoever waits for its end
    const pending = task === undefined ? this.findById(params.progressToken) : this.findByTask(task);
    if (numberOf(params.progress) === undefined) this.noise('progress without a number');
    else if (pending && (!own || own === pending) && !pending.progress(params)) this.drop();
  }

  /** A log line of nobody goes to the server's own log; the protocol's keys end here (wire.md, Logging and Shapes across eras). */
  private onLog(said: JsonObject, own: Pending | undefined): void {
    const params = withoutProtocolMeta(said);
    const call = own ? callOf(own) : attribute(this.options.pending()).call;
    if (call) {
      if (!call.log(params)) this.drop();
    } else if (this.admits()) this.options.events.log(params);
  }

  /** A listener gets its own; everything else is the connection's, whatever stream it came on. */
  private onNews(method: string, params: JsonObject, own: Pending | undefined): void {
    const meta = params._meta as JsonObject | undefined;
    const listener = own ?? this.findById(meta?.[META.subscriptionId]);
    if (listener?.request.onNotification) listener.notify(method, params);
    else this.options.events.notification(method, params);
  }

  private askerOf({ method, params }: RequestFrame, own: Pending | undefined): Asker {
    const { events, pending } = this.options;
    const only = attribute(pending());
    const { inFlight } = only;
    const task = relatedTaskOf(params);
    // a task's question may come on any stream, and is nobody's but the task's
    if (task !== undefined) {
      const waiting = this.findByTask(task);
      const owner = waiting?.request.principal ?? `\n${task}`; // which is the name of no principal
      return { call: waiting?.request.keptTask ? undefined : waiting, owner, inFlight };
    }
    if (own) return askerOf(callOf(own), inFlight);
    return events.isOwners?.(method) === true ? askerOf(undefined, inFlight) : only;
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

  /** Counts what is not taken; that it happens is told once. */
  private drop(): void {
    if (this.dropped++ > 0) return;
    this.options.events.noise('it sends more than is taken in a second; what is beyond it is dropped and counted');
  }
}

/** A request that the gateway makes for itself is nobody's call. */
function callOf(pending: Pending): Pending | undefined {
  return pending.isCall || pending.request.task !== undefined ? pending : undefined;
}
