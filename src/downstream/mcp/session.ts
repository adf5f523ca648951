// A session of the legacy era: what `initialize` agreed on, the requests in flight, the standing streams.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { type OfferKind, type Peer, serverOf } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import type { ClientSession } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { ChangeListener } from '../../gateway/changes.ts';
import type { CallerFacts } from '../../gateway/upstreams.ts';
import { listChangedMethods } from '../../gateway/subscriptions-listen.ts';
import { notificationText, type RequestFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import type { LogLevel } from '../../protocol/mcp/meta.ts';
import { randomHex } from '../../telemetry/trace.ts';
import type { Caller } from './caller.ts';
import type { EventConnection, Outlet } from './event-connection.ts';
import { CallerExchange } from './exchange.ts';
import { type EndpointLimits, LIMITS } from './limits.ts';
import { OpenQuestions } from './open-questions.ts';
import { OpenRequests } from './open-requests.ts';
import type { HeldSession } from './sessions.ts';
import { Replay, type ReplayPosition, type ReplayStream } from './replay.ts';

export interface SessionOptions {
  readonly gateway: Gateway;
  readonly caller: Caller;
  readonly version: string;
  readonly client: Peer | undefined;
  /** What the client declared in `initialize`. */
  readonly capabilities: JsonObject;
  readonly limits?: EndpointLimits;
}

/** The first revision whose clients know how to poll a stream. */
const POLLS_SINCE = '2025-11-25';

/** A way to the client that stands open for messages of no request. */
export interface StandingStream extends Outlet {
  /** Whether the client is there; one that is not may come back for what it missed. */
  readonly connected: boolean;
}

export class Session implements HeldSession {
  /** Names the session in records and ledgers, alone in this process; not a secret, and tells nothing of the one that clients send. */
  readonly key = `session-${randomHex(8)}`;
  readonly caller: Caller;
  readonly version: string;
  readonly client: Peer | undefined;
  readonly capabilities: JsonObject;
  /** What its client was asked and has not answered. */
  readonly questions: OpenQuestions;
  /** The session as upstream instances know it. */
  readonly link: ClientSession;
  /** A session that set none gets `info` (wire.md, Logging). */
  logLevel: LogLevel = 'info';
  lastUsed: number;
  /** Its streams over Streamable HTTP. */
  readonly replay: Replay;
  private readonly limits: EndpointLimits;
  private readonly gateway: Gateway;
  private readonly requests = new OpenRequests();
  /** Those of them that wait for the end of a task. */
  private readonly taskWaits = new Set<RequestId>();
  private readonly streams = new Set<StandingStream>();
  private readonly followed = new Map<string, string>();
  private readonly rootsListeners = new Set<() => void>();
  private readonly unsubscribe: () => void;
  private readonly over = new Cancellation();

  constructor({ gateway, caller, version, client, capabilities, limits = LIMITS }: SessionOptions) {
    this.limits = limits;
    this.lastUsed = limits.now();
    this.replay = new Replay({ limits, polls: version >= POLLS_SINCE });
    this.gateway = gateway;
    this.caller = caller;
    this.version = version;
    this.client = client;
    this.capabilities = capabilities;
    this.questions = new OpenQuestions({ capabilities, version }, limits.questionMs);
    const isReachable = () => this.newest?.connected ?? false;
    this.link = {
      key: this.key,
      standing: this.standingExchange(isReachable),
      get reachable() {
        return isReachable();
      },
      requireRoomFor: (uri) => this.requireRoomFor(uri),
      setSubscription: (uri, server) => this.setSubscription(uri, server),
      onRootsChanged: (listener) => {
        this.rootsListeners.add(listener);
        return () => this.rootsListeners.delete(listener);
      },
    };
    const listener: ChangeListener = {
      listsChanged: (server, kinds) => this.onListsChanged(server, kinds),
    };
    this.unsubscribe = gateway.onListsChanged(listener, this.facts);
  }

  /** Who the session is, as far as servers' instances are concerned. */
  get facts(): CallerFacts {
    const { caller, link } = this;
    return { ...caller, session: link, exchange: link.standing };
  }

  /**
   * Whether a client is there, or something comes to an end without one. Requests that wait for the client, or for the end of a task, show
   * no life of it: one that is gone would leave them, and its session, behind.
   */
  get busy(): boolean {
    return this.requests.size > this.questions.waitingCalls + this.taskWaits.size || this.replay.isRead;
  }

  /** Registers a request. Throws as `OpenRequests.begin` does. */
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

  /** The client says that its roots are others now. */
  rootsChanged(): void {
    for (const listener of [...this.rootsListeners]) listener();
  }

  /** Makes the answer to a call a stream that its client can come back to. */
  readonly openCallStream = (connection: EventConnection): ReplayStream =>
    this.replay.open(connection, { polled: true });

  /** Opens a standing stream, or goes on with the one that a client has come back to, be it a standing one or that of a call. */
  openStream(connection: EventConnection, position?: ReplayPosition): void {
    connection.onClose(() => (this.lastUsed = this.limits.now()));
    if (position) position.stream.attach(connection, position.after);
    const stream = position?.stream ?? this.replay.open(connection, { polled: false });
    if (position && !this.streams.delete(position.stream)) return;
    this.addStream(stream);
  }

  /** Adds a standing stream, at the price of another where there are too many: one that nobody reads, else the oldest. */
  addStream(stream: StandingStream): void {
    if (this.streams.size >= BOUNDS.sessionStreams) {
      const all = [...this.streams];
      const leaving = all.find(({ connected }) => !connected) ?? all[0];
      if (leaving) this.streams.delete(leaving);
      leaving?.end();
    }
    this.streams.add(stream);
  }

  /** Throws `overloaded` where the session follows as many resources as it may. */
  private requireRoomFor(uri: string): void {
    if (this.followed.size >= BOUNDS.sessionSubscriptions && !this.followed.has(uri))
      throw new GatewayError(
        'overloaded',
        `The session follows ${BOUNDS.sessionSubscriptions} resources; unsubscribe from some.`,
      );
  }

  /** Remembers which server's resource is followed, for as long as the session lives; what is followed no longer is let go there. */
  private setSubscription(uri: string, server: string | undefined): void {
    const before = this.followed.get(uri);
    if (before !== undefined && before !== server) this.gateway.unsubscribe(this.key, [{ uri, server: before }]);
    if (server === undefined) this.followed.delete(uri);
    else if (this.over.aborted) this.gateway.unsubscribe(this.key, [{ uri, server }]);
    else this.followed.set(uri, server);
  }

  /** Ends the session: its calls are cancelled, its streams end, what it followed is let go. */
  end(): void {
    if (this.over.aborted) return;
    this.over.abort();
    this.unsubscribe();
    this.requests.cancelAll();
    this.gateway.unsubscribe(
      this.key,
      [...this.followed].map(([uri, server]) => ({ uri, server })),
    );
    for (const stream of this.streams) stream.end();
    this.streams.clear();
    this.replay.close();
    this.rootsListeners.clear();
  }

  /** The exchange outside any call, whose log level is the session's at each moment. */
  private standingExchange(reachable: () => boolean): CallerExchange {
    const level = () => this.logLevel;
    return new CallerExchange({
      signal: this.over.signal,
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

  /** One message goes to one stream (2025-11-25 transports, Multiple Connections): the newest that has a reader, else the newest. */
  private toNewest(text: string): boolean {
    return this.newest?.send(text) ?? false;
  }

  private get newest(): StandingStream | undefined {
    const all = [...this.streams];
    return all.findLast(({ connected }) => connected) ?? all.at(-1);
  }
}
