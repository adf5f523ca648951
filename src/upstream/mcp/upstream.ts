// A configured server: what all eras of it have in common, and which era serves a caller.
import { EMPTY_OFFER, type ServerOffer } from '../../catalog/offer.ts';
import type { ServerConfig } from '../../config/config.ts';
import type { Era } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { InFlight } from '../../core/in-flight.ts';
import type { LogLevel } from '../../protocol/mcp/vocabulary.ts';
import { ConfiguredServer } from './configured-server.ts';
import type { ConnectionRequest, UpstreamReply } from './connect/connection.ts';
import type { UpstreamContext } from './context.ts';
import { EraUpstream } from './era-upstream.ts';
import type { InstanceCaller } from './instances/affinity.ts';
import { TaskInstances } from './instances/task-instances.ts';
import type { OwnerOffer } from './offer/owner-listings.ts';
import type { SubscribedResources } from './offer/subscribed-resources.ts';
import { describeServer, type OfferedStatus, type ServerStatus } from './status.ts';

export type { UpstreamReply };

export class Upstream {
  readonly tasks: TaskInstances;
  private readonly server: ConfiguredServer;
  private readonly only: EraUpstream;
  private readonly inFlight = new InFlight();

  constructor(config: ServerConfig, context: UpstreamContext) {
    this.server = new ConfiguredServer(config, context);
    this.only = new EraUpstream(this.server);
    this.tasks = new TaskInstances(this.only.parts.instances, this.inFlight);
  }

  get config(): ServerConfig {
    return this.server.config;
  }

  /** Who follows its resources. */
  get followed(): SubscribedResources {
    return this.serving().parts.subscribed;
  }

  /** What the server offers, as last read. */
  get offer(): ServerOffer {
    const { shared, offer } = this.serving().parts;
    return shared.isUsable ? offer.offer : EMPTY_OFFER;
  }

  /** What the server speaks; undefined before the first handshake. */
  get era(): Era | undefined {
    return this.serving().parts.shared.current?.connection.era;
  }

  /** Whether the server was seen to send requests to its callers. */
  get mayAsk(): boolean {
    return this.serving().parts.isolation.mayAsk;
  }

  /** Whether any owner is offered something else than everybody. */
  get hasOwnerOffers(): boolean {
    return this.serving().parts.offer.differsByOwner;
  }

  /** What the server offers this caller, if that differs from what it offers everybody. */
  ownerOffer(caller: InstanceCaller): OwnerOffer | undefined {
    const { isolation, offer } = this.serving(caller).parts;
    return offer.ofOwner(isolation.ownerOf(caller));
  }

  /** Whether anything was ever read from the server. */
  get seen(): boolean {
    return this.serving().parts.offer.stored !== undefined;
  }

  /** Whether the server is enabled and has never answered: what it offers is not known. */
  get isPendingDiscovery(): boolean {
    return !this.config.disabled && !this.seen;
  }

  /** Resolves when the first attempt to connect has succeeded or failed. */
  get attempted(): Promise<void> {
    return this.serving().parts.shared.attempted;
  }

  /** Resolves when the first attempt is over or has taken too long; undefined if it is over already. */
  firstConnection(): Promise<void> | undefined {
    return this.serving().parts.shared.firstConnection();
  }

  /** Reads the offer again if it may have changed without a notification; undefined if there is nothing to read. `now` is the monotonic time. Never throws. */
  freshen(now: number): Promise<void> | undefined {
    const { offer, shared } = this.serving().parts;
    return offer.freshen(shared.current, now);
  }

  /** Takes over an entry that needs no restart: who may see what, where it is configured, how instances are shared. */
  reconfigured(config: ServerConfig): this {
    this.server.config = config;
    this.only.parts.owned.reconfigured();
    return this;
  }

  start(): void {
    this.only.parts.shared.start();
  }

  /** Sends a request of a caller. Throws GatewayError. */
  request(request: ConnectionRequest, caller: InstanceCaller): Promise<UpstreamReply> {
    return this.inFlight.track(this.serving(caller).request(request, caller));
  }

  /** A session wants log lines of this level from now on. */
  wantLogLevel(level: LogLevel, caller: InstanceCaller): void {
    this.serving(caller).wantLogLevel(level, caller);
  }

  /** Opens nothing any more unless a call waits for it; `stop` follows. */
  quiesce(): void {
    this.only.quiesce();
  }

  /** Lets calls in flight finish, for at most `limitMs`, then stops. The gateway sends no new calls by then. */
  async drain(limitMs: number): Promise<void> {
    this.quiesce();
    await this.inFlight.settled(limitMs);
    await this.stop();
  }

  /** Opens nothing any more, fails the calls in flight, and ends every process tree. */
  stop(): Promise<void> {
    return this.only.stop();
  }

  status(offered: OfferedStatus): ServerStatus {
    return describeServer(this.server, { ...this.serving().parts, inFlight: this.inFlight.size, offered });
  }

  /** The error of a call that cannot be sent now. Callers do not learn what is wrong with the entry, since that names files. */
  unavailable(): GatewayError {
    if (this.config.problem === undefined) return this.serving().parts.shared.unavailable();
    const why = 'its entry in the configuration cannot be used, which its operator has to mend.';
    return new GatewayError('upstream_unreachable', `The server "${this.server.name}" is not available: ${why}`);
  }

  /** The era that serves a caller, or that a question about no single caller is about. The only place that chooses one. */
  private serving(_caller?: InstanceCaller): EraUpstream {
    return this.only;
  }
}
