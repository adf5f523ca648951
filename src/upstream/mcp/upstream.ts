// A configured server: what all eras of it have in common, and its calls, each served in the era of its caller.
import { EMPTY_OFFER, type ServerOffer } from '../../catalog/offer.ts';
import type { ServerConfig } from '../../config/config.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era } from '../../core/call.ts';
import { type CancelSignal, within } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { InFlight } from '../../core/in-flight.ts';
import type { LogLevel } from '../../protocol/mcp/vocabulary.ts';
import { ConfiguredServer } from './configured-server.ts';
import type { ConnectionRequest, UpstreamReply } from './connect/connection.ts';
import type { UpstreamContext } from './context.ts';
import { Eras } from './eras.ts';
import type { InstanceCaller } from './instances/affinity.ts';
import { TaskInstances } from './instances/task-instances.ts';
import type { OwnerOffer } from './offer/owner-listings.ts';
import type { Following } from './offer/resource-subscriptions.ts';
import { describeServer, type OfferedStatus, type ServerStatus } from './status.ts';

export type { UpstreamReply };

export class Upstream {
  readonly tasks: TaskInstances;
  private readonly server: ConfiguredServer;
  private readonly eras: Eras;
  private readonly inFlight = new InFlight();

  constructor(config: ServerConfig, context: UpstreamContext) {
    this.server = new ConfiguredServer(config, context);
    this.eras = new Eras(this.server);
    this.tasks = new TaskInstances({ find: (id) => this.eras.instance(id) }, this.inFlight);
  }

  get config(): ServerConfig {
    return this.server.config;
  }

  /** What the server offers, as last read. */
  get offer(): ServerOffer {
    return this.offerIn(undefined);
  }

  /** What the server offers callers of an era. */
  offerIn(era: Era | undefined): ServerOffer {
    const { shared, offer } = this.eras.shown(era).parts;
    return shared.isUsable ? offer.offer : EMPTY_OFFER;
  }

  /** What the server speaks with callers of an era; undefined before the first handshake. */
  eraFor(era: Era): Era | undefined {
    return (this.eras.serving(era) ?? this.eras.first).era;
  }

  /** Whether the server was seen to send requests to callers of an era. */
  mayAsk(era: Era): boolean {
    return this.eras.shown(era).parts.isolation.mayAsk;
  }

  /** Whether the server speaks both eras. */
  get isDual(): boolean {
    return this.eras.second !== undefined;
  }

  /** Whether any owner is offered something else than everybody. */
  get hasOwnerOffers(): boolean {
    return this.eras.all.some(({ parts }) => parts.offer.differsByOwner);
  }

  /** Whether callers of different eras are offered different things. */
  get hasEraOffers(): boolean {
    const { first, second } = this.eras;
    return second?.parts.offer.digest !== undefined && second.parts.offer.digest !== first.parts.offer.digest;
  }

  /** What the server offers this caller, if that differs from what it offers everybody. */
  ownOffer(caller: InstanceCaller): OwnerOffer | undefined {
    const shown = this.eras.shown(caller.era);
    const { isolation, offer } = shown.parts;
    const own = offer.ofOwner(isolation.ownerOf(caller));
    if (own || shown === this.eras.first || !this.hasEraOffers) return own;
    return { offer: offer.offer, digest: offer.digest ?? '' };
  }

  /** Whether anything was ever read from the server. */
  get seen(): boolean {
    return this.eras.all.some(({ parts }) => parts.offer.stored !== undefined);
  }

  /** Whether the server is enabled and has never answered: what it offers is not known. */
  get isPendingDiscovery(): boolean {
    return !this.config.disabled && !this.seen;
  }

  /** Resolves when the first attempt to connect has succeeded or failed. */
  get attempted(): Promise<void> {
    return this.eras.first.parts.shared.attempted;
  }

  /** Resolves when the first attempt is over or has taken too long; undefined if it is over already. */
  firstConnection(): Promise<void> | undefined {
    return this.eras.first.parts.shared.firstConnection();
  }

  /**
   * Finds out whether the server speaks the era of a caller who has not called it yet, unless that is known. Resolves when it is known or has
   * taken too long, or when the server cannot be reached; undefined if there is nothing to find out.
   */
  prepare(era: Era): Promise<void> | undefined {
    if (!this.eras.first.parts.shared.isUsable || this.eras.serving(era)) return undefined;
    const { start } = this.config.timeouts;
    const found = this.eras.settle(era, {}).then(
      () => undefined,
      () => undefined, // the calls of the caller will tell
    );
    return within(found, Math.min(start, BOUNDS.eraTrial));
  }

  /** Reads the offer for callers of an era again if it may have changed without a notification; undefined if there is nothing to read. `now` is the monotonic time. Never throws. */
  freshen(era: Era, now: number): Promise<void> | undefined {
    const shown = this.eras.shown(era);
    const { offer, shared } = shown.parts;
    // the list is answered from the known offer, and its callers are told when that of their era was read
    if (shown.era !== era && shared.current) void this.prepare(era);
    return offer.freshen(shared.current, now);
  }

  /** Takes over an entry that needs no restart: who may see what, where it is configured, how instances are shared. */
  reconfigured(config: ServerConfig): this {
    this.server.config = config;
    this.eras.reconfigured();
    return this;
  }

  start(): void {
    this.eras.first.parts.shared.start();
  }

  /** Sends a request of a caller. Throws GatewayError. */
  request(request: ConnectionRequest, caller: InstanceCaller): Promise<UpstreamReply> {
    const serving = this.eras.serving(caller.era);
    if (serving) {
      this.eras.used(caller);
      return this.inFlight.track(serving.request(request, caller));
    }
    const { patient, exchange } = request;
    const found = this.eras.find(caller, { signal: exchange?.signal, patient });
    return this.inFlight.track(found.then((upstream) => upstream.request(request, caller)));
  }

  /** Notifies the follower of changes to a resource until `unfollow`. Throws GatewayError. */
  async follow(following: Following, signal: CancelSignal): Promise<void> {
    const upstream = await this.eras.find(following.follower.caller, { signal });
    await upstream.parts.subscribed.follow(following, signal);
  }

  /** Ends what a holder follows, in whichever era it began. */
  unfollow(uri: string, key: string): void {
    for (const { parts } of this.eras.all) parts.subscribed.unfollow(uri, key);
  }

  /** Takes over what is followed at the upstream that this one replaces. */
  takeOver(replaced: Upstream): void {
    for (const following of replaced.eras.all.flatMap(({ parts }) => parts.subscribed.release()))
      (this.eras.serving(following.follower.caller.era) ?? this.eras.first).parts.subscribed.takeOver([following]);
  }

  /** A session wants log lines of this level from now on. */
  wantLogLevel(level: LogLevel, caller: InstanceCaller): void {
    this.eras.serving(caller.era)?.wantLogLevel(level, caller);
  }

  /** Opens nothing any more unless a call waits for it; `stop` follows. */
  quiesce(): void {
    for (const upstream of this.eras.all) upstream.quiesce();
  }

  /** Lets calls in flight finish, for at most `limitMs`, then stops. The gateway sends no new calls by then. */
  async drain(limitMs: number): Promise<void> {
    this.quiesce();
    await this.inFlight.settled(limitMs);
    await this.stop();
  }

  /** Opens nothing any more, fails the calls in flight, and ends every process tree. */
  stop(): Promise<void> {
    return this.eras.stop();
  }

  status(offered: OfferedStatus): ServerStatus {
    return describeServer(this.server, { eras: this.eras, inFlight: this.inFlight.size, offered });
  }

  /** The error of a call that cannot be sent now. Callers do not learn what is wrong with the entry, since that names files. */
  unavailable(): GatewayError {
    if (this.config.problem === undefined) return this.eras.first.parts.shared.unavailable();
    const why = 'its entry in the configuration cannot be used, which its operator has to mend.';
    return new GatewayError('upstream_unreachable', `The server "${this.server.name}" is not available: ${why}`);
  }
}
