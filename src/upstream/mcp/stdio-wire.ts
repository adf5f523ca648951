// JSON-RPC over the pipes of a process: one channel for every caller, so ids and progress tokens are the gateway's own.
import { GatewayError, reasonOf } from '../../core/errors.ts';
import { type JsonObject } from '../../core/json.ts';
import { Slots } from '../../core/slots.ts';
import { META } from '../../protocol/mcp/meta.ts';
import { type DroppedLine } from '../../protocol/mcp/line-splitter.ts';
import { notificationText, oneLine, requestText, type ResponseFrame } from '../../protocol/mcp/frames.ts';
import { type Deadlines } from './deadlines.ts';
import { readDropped } from './dropped-answer.ts';
import { answerTo, brokenAnswerId, readInbound, tokenOf } from './inbound.ts';
import { Pending } from './pending.ts';
import { StdioProcess, type StdioProcessOptions } from './stdio-process.ts';
import { type Wire, type WireEvents, type WireReply, type WireRequest } from './wire.ts';

export interface StdioWireOptions {
  readonly server: string;
  readonly process: StdioProcessOptions;
  readonly deadlines: Deadlines;
  readonly events: WireEvents;
}

/** Unreadable lines in a row after which the process is given up. */
const MAX_GARBAGE = 100;

/** A started process and the requests that wait on it. */
export class StdioWire implements Wire {
  readonly transport = 'stdio';
  readonly stateful = false;
  readonly process: StdioProcess;
  private readonly server: string;
  private readonly deadlines: Deadlines;
  private readonly events: WireEvents;
  private readonly pending = new Slots<Pending>();
  private readonly listeners = new Map<number, Pending>();
  private garbage = 0;
  private gone: string | undefined;

  constructor(options: StdioWireOptions) {
    this.server = options.server;
    this.deadlines = options.deadlines;
    this.events = options.events;
    this.process = new StdioProcess(options.process, {
      line: (text) => this.onLine(text),
      oversize: () => undefined, // what it was shows when it ends
      dropped: (line) => this.onDropped(line, options.process.maxMessageBytes),
      exit: (info) => this.onExit(info.message),
    });
  }

  start(): Promise<void> {
    return this.process.start();
  }

  request(request: WireRequest): Promise<WireReply> {
    if (this.gone !== undefined) {
      const message = `The server "${this.server}" is gone: ${this.gone}`;
      return Promise.reject(new GatewayError('upstream_closed', message));
    }
    let id = 0;
    const pending: Pending = new Pending(request, {
      server: this.server,
      deadlines: this.deadlines,
      onAbandon: (reason) => this.abandon(id, reason),
    });
    if (pending.done) return pending.promise; // cancelled before it was sent
    const listens = request.method === 'subscriptions/listen';
    id = this.pending.add(pending);
    if (listens) this.listeners.set(id, pending);
    try {
      this.send(requestText(id, request.method, pending.paramsFor(id)));
    } catch (error) {
      this.pending.take(id);
      this.listeners.delete(id);
      pending.fail(error);
    }
    return pending.promise;
  }

  notify(method: string, params: JsonObject): Promise<void> {
    if (this.gone === undefined) this.send(notificationText(method, params));
    return Promise.resolve();
  }

  adopt(): void {
    // a pipe has nothing to remember: version and capabilities travel in the messages
  }

  retire(): Promise<void> {
    return this.process.stop();
  }

  close(): Promise<void> {
    return this.process.stop();
  }

  /** Cancels by notification (2026-07-28 stdio, Cancellation; legacy the same). `initialize` may never be cancelled. */
  private abandon(id: number, reason: string): void {
    const method = this.pending.get(id)?.request.method;
    this.pending.take(id);
    this.listeners.delete(id);
    if (this.gone !== undefined || method === 'initialize') return;
    try {
      this.send(notificationText('notifications/cancelled', { requestId: id, reason }));
    } catch (error) {
      // nobody waits for the request any more, and whoever ended it (a clock, a caller) is not to blame for a full pipe
      this.events.noise(`a cancellation could not be delivered: ${reasonOf(error)}`);
    }
  }

  /** Some servers split at every Unicode line separator, so none leaves as it is: one caller's text may not break another's pipe. */
  private send(text: string): void {
    this.process.send(oneLine(text));
  }

  private onLine(text: string): void {
    let frame;
    try {
      frame = readInbound(text);
      this.garbage = 0;
    } catch (error) {
      this.onGarbage(text, reasonOf(error));
      return;
    }
    if (frame.kind === 'response') this.onResponse(frame, Buffer.byteLength(text));
    else if (frame.kind === 'request') this.send(answerTo(frame));
    else this.onNotification(frame.method, frame.params);
  }

  private onResponse(frame: ResponseFrame, bytes: number): void {
    const id = typeof frame.id === 'number' ? frame.id : undefined;
    const pending = id === undefined ? undefined : this.pending.get(id);
    if (!pending || id === undefined) {
      this.events.noise('an answer to a request that was not asked, or was given up');
      return;
    }
    this.pending.take(id);
    this.listeners.delete(id);
    pending.succeed({
      ...(frame.result && { result: frame.result }),
      ...(frame.error && { error: frame.error }),
      bytes,
    });
  }

  /**
   * Finds whose notification it is. A log line on a shared pipe does not say (design, Instances): with one request in
   * flight it is that caller's; with more it goes to the server's own log, and nothing is guessed.
   */
  private onNotification(method: string, params: JsonObject): void {
    if (method === 'notifications/progress') {
      this.pending.get(tokenOf(params) ?? 0)?.notify(method, params);
      return;
    }
    if (method === 'notifications/message') {
      const calls = this.pending.all().filter((pending) => pending.request.exchange);
      const [only] = calls;
      if (only && calls.length === 1) only.notify(method, params);
      else this.events.noise(`log line: ${JSON.stringify(params.data ?? null).slice(0, 500)}`);
      return;
    }
    const listener = this.listenerOf(params);
    if (listener) listener.notify(method, params);
    else this.events.notification(method, params);
  }

  private listenerOf(params: JsonObject): Pending | undefined {
    if (this.listeners.size === 0) return undefined;
    const meta = params._meta as JsonObject | undefined;
    const id = meta?.[META.subscriptionId];
    return typeof id === 'number' ? this.listeners.get(id) : undefined;
  }

  private onGarbage(text: string, why: string): void {
    this.garbage++;
    this.events.noise(`stdout is not MCP (${why}): ${text.slice(0, 200)}`);
    const id = brokenAnswerId(text);
    if (id !== undefined && this.pending.get(id) !== undefined) {
      const message = `The server "${this.server}" answered with something that is not MCP: ${why}`;
      this.failOne(id, new GatewayError('upstream_protocol', message));
    }
    if (this.garbage < MAX_GARBAGE) return;
    this.giveUp(`it wrote ${MAX_GARBAGE} lines in a row that are not MCP`);
  }

  /** A message over the limit harms the call that it answered; all of them only where it cannot be known which. */
  private onDropped(line: DroppedLine, limit: number): void {
    const message = `The server "${this.server}" sent a message of more than ${limit} bytes (limits.upstreamMessage); ${line.bytes} bytes were dropped.`;
    const error = new GatewayError('upstream_message_too_large', message);
    const found = readDropped(line);
    if (found.kind === 'answer' && this.pending.get(found.id) !== undefined) this.failOne(found.id, error);
    else if (found.kind === 'unknown') this.failAll(error);
    else this.events.noise(message);
    if (!line.ended) this.giveUp(`it wrote a line of more than ${line.bytes} bytes without an end`);
  }

  /** Ends a process that cannot be talked with. */
  private giveUp(reason: string): void {
    this.onExit(reason);
    void this.process.stop();
  }

  private onExit(reason: string): void {
    if (this.gone !== undefined) return;
    this.gone = reason;
    this.failAll(
      new GatewayError('upstream_closed', `The server "${this.server}" went away during the call: ${reason}`),
    );
    this.events.closed(reason);
  }

  private failOne(id: number, error: GatewayError): void {
    this.listeners.delete(id);
    this.pending.take(id)?.fail(error);
  }

  private failAll(error: GatewayError): void {
    for (const pending of this.pending.clear()) pending.fail(error);
    this.listeners.clear();
  }
}
