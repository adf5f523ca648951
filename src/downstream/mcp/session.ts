// A session of the legacy era: what `initialize` agreed on, the requests in flight, the standing streams.
import { Cancellation } from '../../core/cancellation.ts';
import { type OfferKind, type Peer } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { type ClientSession } from '../../core/exchange.ts';
import { type JsonObject } from '../../core/json.ts';
import { type Gateway } from '../../gateway/gateway.ts';
import { listChangedMethods } from '../../gateway/listening.ts';
import { notificationText, type RequestId } from '../../protocol/mcp/frames.ts';
import { type LogLevel } from '../../protocol/mcp/meta.ts';
import { randomHex } from '../../telemetry/trace.ts';
import { type Caller } from './caller.ts';
import { CallerExchange, type Send } from './exchange.ts';
import { OpenQuestions } from './open-questions.ts';
import { OpenRequests } from './open-requests.ts';

/** Most standing streams of one session: clients open a new one when they believe the old one lost. */
const MAX_STREAMS = 8;
/** Most resources that one session follows. */
const MAX_FOLLOWED = 1_000;

export interface SessionOptions {
  readonly gateway: Gateway;
  readonly caller: Caller;
  readonly version: string;
  readonly client: Peer | undefined;
  /** What the client declared in `initialize`. */
  readonly capabilities: JsonObject;
}

/** A way to the client that stands open for messages of no request. */
export interface StandingStream {
  readonly send: Send;
  close(): void;
}

export class Session {
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
  /** Monotonic ms of the last message. */
  lastUsed = performance.now();
  private readonly gateway: Gateway;
  private readonly requests = new OpenRequests();
  private readonly streams = new Set<StandingStream>();
  private readonly followed = new Map<string, string>();
  private readonly rootsListeners = new Set<() => void>();
  private readonly unsubscribe: () => void;
  private readonly over = new Cancellation();

  constructor({ gateway, caller, version, client, capabilities }: SessionOptions) {
    this.gateway = gateway;
    this.caller = caller;
    this.version = version;
    this.client = client;
    this.capabilities = capabilities;
    this.questions = new OpenQuestions({ capabilities, version });
    this.link = {
      key: this.key,
      standing: this.standingExchange(),
      onRootsChanged: (listener) => {
        this.rootsListeners.add(listener);
        return () => this.rootsListeners.delete(listener);
      },
    };
    this.unsubscribe = gateway.changes.subscribe({
      listsChanged: (server, kinds) => this.onListsChanged(server, kinds),
      resourceUpdated: (server, uri) => {
        if (this.followed.get(uri) === server) this.tell('notifications/resources/updated', { uri });
      },
    });
  }

  get busy(): boolean {
    return this.requests.size > 0 || this.streams.size > 0;
  }

  /** Registers a request. Throws as `OpenRequests.begin` does. */
  begin(id: RequestId): Cancellation {
    this.lastUsed = performance.now();
    return this.requests.begin(id);
  }

  finish(id: RequestId): void {
    this.lastUsed = performance.now();
    this.requests.finish(id);
  }

  cancel(id: unknown): void {
    this.requests.cancel(id);
  }

  /** The client says that its roots are others now. */
  rootsChanged(): void {
    for (const listener of [...this.rootsListeners]) listener();
  }

  /** Adds a standing stream, at the price of the oldest where there are too many; returns the way to take it out. */
  addStream(stream: StandingStream): () => void {
    const [oldest] = this.streams;
    if (oldest && this.streams.size >= MAX_STREAMS) {
      this.streams.delete(oldest);
      oldest.close();
    }
    this.streams.add(stream);
    return () => {
      this.streams.delete(stream);
      this.lastUsed = performance.now();
    };
  }

  /** Throws `overloaded` where the session follows as many resources as it may. */
  requireRoomToFollow(uri: string): void {
    if (this.followed.size >= MAX_FOLLOWED && !this.followed.has(uri))
      throw new GatewayError('overloaded', `The session follows ${MAX_FOLLOWED} resources; unsubscribe from some.`);
  }

  /** Remembers which server's resource is followed, for as long as the session lives. */
  setFollowed(uri: string, server: string | undefined): void {
    if (server === undefined) this.followed.delete(uri);
    else if (this.over.aborted) this.gateway.unfollow(this.key, [{ uri, server }]);
    else this.followed.set(uri, server);
  }

  /** Ends the session: its calls are cancelled, its streams end, what it followed is let go. */
  end(): void {
    if (this.over.aborted) return;
    this.over.abort();
    this.unsubscribe();
    this.requests.cancelAll();
    this.gateway.unfollow(
      this.key,
      [...this.followed].map(([uri, server]) => ({ uri, server })),
    );
    for (const stream of this.streams) stream.close();
    this.streams.clear();
    this.rootsListeners.clear();
  }

  /** The exchange outside any call, whose log level is the session's at each moment. */
  private standingExchange(): CallerExchange {
    const level = () => this.logLevel;
    return new CallerExchange({
      signal: this.over.signal,
      send: (text) => this.toNewest(text),
      get logLevel() {
        return level();
      },
      capabilities: this.capabilities,
      questions: this.questions,
    });
  }

  private onListsChanged(server: string, kinds: ReadonlySet<OfferKind>): void {
    if (this.caller.scope !== undefined && this.caller.scope !== server) return;
    for (const method of listChangedMethods(kinds)) this.tell(method, {});
  }

  private tell(method: string, params: JsonObject): void {
    this.toNewest(notificationText(method, params));
  }

  /** One message goes to one stream (2025-11-25 transports, Multiple Connections): the newest. */
  private toNewest(text: string): boolean {
    return [...this.streams].at(-1)?.send(text) ?? false;
  }
}
