// A session of the legacy era: what `initialize` negotiated, the requests in flight, the standing streams.
import { Cancellation } from '../../core/cancellation.ts';
import { type OfferKind, type Peer, serverOf, type Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import type { ClientSession } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Caller, Gateway } from '../../gateway/gateway.ts';
import type { ChangeListener } from '../../gateway/changes.ts';
import type { InstanceCaller } from '../../upstream/mcp/instances/affinity.ts';
import { listChangedMethods } from '../../gateway/subscribe.ts';
import { notificationText, type RequestFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import type { LogLevel } from '../../protocol/mcp/vocabulary.ts';
import { randomHex } from '../../telemetry/trace.ts';
import { CallerExchange } from './exchange.ts';
import type { EventConnection, Outlet } from './http-response.ts';
import type { EndpointLimits } from './limits.ts';
import { OpenQuestions, OpenRequests } from './open-requests.ts';
import type { TableSession } from './sessions.ts';
import { Replay, type ReplayPosition, type ReplayStream } from './replay.ts';

export interface SessionOptions {
  readonly gateway: Gateway;
  readonly caller: Caller;
  readonly version: string;
  readonly client: Peer | undefined;
  /** What the client declared in `initialize`. */
  readonly capabilities: JsonObject;
  readonly limits: EndpointLimits;
}

/** The first revision whose clients poll a stream. */
const POLLS_SINCE = '2025-11-25';

/** A stream to the client for messages that belong to no request. */
export interface StandingStream extends Outlet {
  /** Whether the client is connected; it may reconnect for the events that it missed. */
  readonly connected: boolean;
}

export class Session implements TableSession {
  /** Names the session in records, unique in this process; not a secret, and unrelated to the session id that clients send. */
  readonly key = `session-${randomHex(8)}`;
  readonly caller: Caller;
  readonly version: string;
  readonly client: Peer | undefined;
  readonly capabilities: JsonObject;
  /** The questions that the client has not answered. */
  readonly questions: OpenQuestions;
  /** What upstream instances see of the session. */
  readonly link: ClientSession;
  /** `info` until the client sets a level (wire.md, Logging). */
  logLevel: LogLevel = 'info';
  lastUsed: number;
  /** The streams over Streamable HTTP. */
  readonly replay: Replay;
  private readonly limits: EndpointLimits;
  private readonly gateway: Gateway;
  private readonly requests = new OpenRequests();
  /** The requests among them that wait for the end of a task. */
  private readonly taskWaits = new Set<RequestId>();
  private readonly streams = new Set<StandingStream>();
  /** The servers of the resources that the session is subscribed to, by URI. */
  private readonly subscriptions = new Map<string, Target>();
  private readonly rootsListeners = new Set<() => void>();
  private readonly stopListening: () => void;
  private readonly ended = new Cancellation();

  constructor({ gateway, caller, version, client, capabilities, limits }: SessionOptions) {
    this.limits = limits;
    this.lastUsed = limits.now();
    this.replay = new Replay({ limits, polls: version >= POLLS_SINCE });
    this.gateway = gateway;
    this.caller = caller;
    this.version = version;
    this.client = client;
    this.capabilities = capabilities;
    this.questions = new OpenQuestions({ capabilities, version }, limits.bounds);
    const isReachable = () => this.newest?.connected ?? false;
    this.link = {
      key: this.key,
      standing: this.standingExchange(isReachable),
      get reachable() {
        return isReachable();
      },
      requireRoomFor: (uri) => this.requireRoomFor(uri),
      setSubscription: (uri, target) => this.setSubscription(uri, target),
      onRootsChanged: (listener) => {
        this.rootsListeners.add(listener);
        return () => this.rootsListeners.delete(listener);
      },
    };
    const listener: ChangeListener = {
      caller: { ...caller, client },
      listsChanged: (server, kinds) => this.onListsChanged(server, kinds),
    };
    this.stopListening = gateway.onListsChanged(listener, this.facts);
  }

  /** The caller facts of the session, by which upstreams choose an instance. */
  get facts(): InstanceCaller {
    const { caller, link } = this;
    return { ...caller, era: 'legacy', session: link, exchange: link.standing };
  }

  /**
   * Whether the client reads a stream, or a request runs. Requests that wait for the client's answers, or for the end of a task, do not count:
   * otherwise a client that disappears would keep its session open.
   */
  get busy(): boolean {
    return this.requests.size > this.questions.waitingCalls + this.taskWaits.size || this.replay.isRead;
  }

  /** Registers a request. Throws the errors of `OpenRequests.begin`. */
  begin({ id, method }: Pick<RequestFrame, 'id' | 'method'>): Cancellation {
    this.lastUsed = this.limits.now();
    const cancellation = this.requests.begin(id);
    if (method === 'tasks/result') this.taskWaits.add(id);
    return cancellation;
  }

  finish(id: RequestId): void {
    this.lastUsed = this.limits.now();
    this.requests.finish(id);
    this.taskWaits.delete(id);
  }

  cancel(id: unknown): void {
    this.requests.cancel(id);
  }

  /** Notifies upstreams that the client's roots have changed. */
  rootsChanged(): void {
    for (const listener of [...this.rootsListeners]) listener();
  }

  /** Makes the answer to a call a stream for which the client can reconnect. */
  readonly openCallStream = (connection: EventConnection): ReplayStream =>
    this.replay.open(connection, { polled: true });

  /** Opens a standing stream, or continues the standing stream or the stream of a call for which the client has reconnected. */
  openStream(connection: EventConnection, position?: ReplayPosition): void {
    connection.onClose(() => (this.lastUsed = this.limits.now()));
    if (position) position.stream.attach(connection, position.after);
    const stream = position?.stream ?? this.replay.open(connection, { polled: false });
    if (position && !this.streams.delete(position.stream)) return;
    this.addStream(stream);
  }

  /** Adds a standing stream. If there are too many, it ends one that the client does not read, else the oldest. */
  addStream(stream: StandingStream): void {
    if (this.streams.size >= this.limits.bounds.sessionStreams) {
      const all = [...this.streams];
      const evicted = all.find(({ connected }) => !connected) ?? all[0];
      if (evicted) this.streams.delete(evicted);
      evicted?.end();
    }
    this.streams.add(stream);
  }

  /** Throws `overloaded` if the session has no room for another subscription. */
  private requireRoomFor(uri: string): void {
    const { sessionSubscriptions: most } = this.limits.bounds;
    if (this.subscriptions.size >= most && !this.subscriptions.has(uri))
      throw new GatewayError('overloaded', `The session follows ${most} resources; unsubscribe from some.`);
  }

  /** Remembers at which server the session is subscribed to a resource, and unsubscribes at the server before it. */
  private setSubscription(uri: string, target: Target | undefined): void {
    const before = this.subscriptions.get(uri);
    if (before !== undefined && before.server !== target?.server) this.gateway.unsubscribe(this.key, [before]);
    if (target === undefined) this.subscriptions.delete(uri);
    else if (this.ended.aborted) this.gateway.unsubscribe(this.key, [target]);
    else this.subscriptions.set(uri, target);
  }

  /** Ends the session: cancels its requests, unsubscribes it everywhere, and ends its streams. */
  end(): void {
    if (this.ended.aborted) return;
    this.ended.abort();
    this.stopListening();
    this.requests.cancelAll();
    this.gateway.unsubscribe(this.key, this.subscriptions.values());
    for (const stream of this.streams) stream.end();
    this.streams.clear();
    this.replay.close();
    this.rootsListeners.clear();
  }

  /** The exchange outside any call; it reads the session's log level anew for each message. */
  private standingExchange(reachable: () => boolean): CallerExchange {
    const level = () => this.logLevel;
    return new CallerExchange({
      signal: this.ended.signal,
      send: (text) => this.toNewest(text),
      reachable,
      get logLevel() {
        return level();
      },
      capabilities: this.capabilities,
      questions: this.questions,
    });
  }

  private onListsChanged(server: string, kinds: ReadonlySet<OfferKind>): void {
    const only = serverOf(this.caller.endpoint);
    if (only !== undefined && only !== server) return;
    for (const method of listChangedMethods(kinds)) this.notify(method, {});
  }

  private notify(method: string, params: JsonObject): void {
    this.toNewest(notificationText(method, params));
  }

  /** Sends a message on one stream only (2025-11-25 transports, Multiple Connections): the newest connected one, else the newest. */
  private toNewest(text: string): boolean {
    return this.newest?.send(text) ?? false;
  }

  private get newest(): StandingStream | undefined {
    const all = [...this.streams];
    return all.findLast(({ connected }) => connected) ?? all.at(-1);
  }
}
