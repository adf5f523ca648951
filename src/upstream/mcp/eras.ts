// Chooses the era in which a server serves a caller, and finds out whether the server speaks the caller's era at all.
import { EMPTY_OFFER } from '../../catalog/offer.ts';
import { Backoff } from '../../core/backoff.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era } from '../../core/call.ts';
import { type CancelSignal, within } from '../../core/cancellation.ts';
import { forOperator, GatewayError } from '../../core/errors.ts';
import type { ClientSession } from '../../core/exchange.ts';
import { serverKey } from '../../storage/server-key.ts';
import type { ConfiguredServer } from './configured-server.ts';
import { EraRefused } from './connect/handshake.ts';
import { EraUpstream } from './era-upstream.ts';
import { eraAudience, type InstanceCaller } from './instances/affinity.ts';
import type { Instance, Loss } from './instances/instance.ts';
import { differingKinds } from './offer/owner-listings.ts';

/** Callers of an era that the server does not speak: the gateway translates for them. */
export interface Bridged {
  readonly era: Era;
  readonly why: string;
  /** When the gateway tries the era again, in monotonic ms. */
  readonly retryAt: number;
}

/** How a caller waits. */
interface Waiting {
  readonly signal?: CancelSignal | undefined;
  /** Whether it waits for a server that is down. */
  readonly patient?: boolean | undefined;
}

const PAUSES = { firstMs: BOUNDS.eraRetryFirst, mostMs: BOUNDS.eraRetryMost };

export class Eras {
  /** Opened at the start; probes the server unless its era is known. */
  first: EraUpstream;
  /** The other era, where the server is known to speak it, or where that is being tried. */
  second: EraUpstream | undefined;
  bridged: Bridged | undefined;
  private readonly server: ConfiguredServer;
  private readonly pauses = new Backoff(PAUSES);
  private trial: Promise<void> | undefined;
  /** When callers wait for the trial no longer, in monotonic ms. */
  private trialEnds = Infinity;
  /** Legacy sessions that called the server and have not ended. */
  private readonly sessions = new Set<ClientSession>();
  private lastUsed: Era | undefined;
  private readonly stopping = new AbortController();
  /** Of upstreams that are used no more. */
  private readonly endings = new Set<Promise<void>>();

  constructor(server: ConfiguredServer) {
    this.server = server;
    this.first = this.create(this.pinned);
    this.recall();
  }

  /** All of them, the first one first. */
  get all(): EraUpstream[] {
    return this.second ? [this.first, this.second] : [this.first];
  }

  /** The upstream whose offer callers of an era are shown. */
  shown(era: Era | undefined): EraUpstream {
    const { first, second } = this;
    const isKnown = second?.parts.offer.stored !== undefined && second.era === era;
    return !isKnown || (era && this.isBridged(era)) ? first : second;
  }

  /** The upstream that serves callers of an era; undefined where `settle` has to find out first. */
  serving(era: Era): EraUpstream | undefined {
    const { first, second } = this;
    if (second && second.era === first.era) this.forgetSecond(second);
    if (first.era === era || this.pinned) return first;
    if (second?.era === era && second.parts.shared.wasReady) return second;
    return this.mayTry(era) ? undefined : first;
  }

  /** The upstream that serves a caller who uses the server now. Throws as `settle` does. */
  async find(caller: InstanceCaller, waiting: Waiting): Promise<EraUpstream> {
    const found = this.serving(caller.era) ?? (await this.settle(caller.era, waiting));
    this.used(caller);
    return found;
  }

  /**
   * The upstream that serves callers of an era. Waits for the first connection, which shows what the server speaks. Then the gateway tries the
   * era of the caller, unless it has done so before. Throws GatewayError where the gateway cannot reach the server.
   */
  async settle(era: Era, { signal, patient }: Waiting): Promise<EraUpstream> {
    const { shared } = this.first.parts;
    if (this.first.era === undefined) await shared.acquire(signal, { patient: patient === true });
    const known = this.serving(era);
    if (known) return known;
    this.trial ??= this.try(era).finally(() => {
      this.trial = undefined;
      this.trialEnds = Infinity;
    });
    await within(this.trial, this.trialEnds - performance.now(), { signal });
    return this.serving(era) ?? this.first;
  }

  /** A caller uses the server. */
  used({ era, session }: InstanceCaller): void {
    this.lastUsed = era;
    if (!session || this.sessions.has(session)) return;
    this.sessions.add(session);
    session.standing.signal.onAbort(() => this.sessions.delete(session));
  }

  /** The instance with this id, of whichever era. */
  instance(id: string): Instance | undefined {
    for (const { parts } of this.all) {
      const found = parts.instances.find(id);
      if (found) return found;
    }
    return undefined;
  }

  /** The entry may say now that everybody shares one process. */
  reconfigured(): void {
    if (this.isSingle && this.second) this.forgetSecond(this.second);
    for (const { parts } of this.all) parts.owned.reconfigured();
  }

  /** Ends every instance; resolves when every process tree is gone. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const { context, config } = this.server;
    if (this.second && this.lastUsed) context.learned.usedEra({ ...serverKey(config), era: this.lastUsed });
    await Promise.all(this.all.map((each) => each.stop()));
    await this.trial;
    await Promise.all(this.endings);
  }

  private get pinned(): Era | undefined {
    const { era } = this.server.config;
    return era === 'auto' ? undefined : era;
  }

  /** Whether all callers share one process, because the entry says so. */
  private get isSingle(): boolean {
    const { transport, isolation } = this.server.config;
    return transport === 'stdio' && isolation === 'shared';
  }

  private isBridged(era: Era): boolean {
    return this.bridged?.era === era && performance.now() < this.bridged.retryAt;
  }

  /** Whether it is open if the server speaks an era that is not the one of the first connection. */
  private mayTry(era: Era): boolean {
    if (this.isBridged(era) || performance.now() >= this.trialEnds) return false;
    if (this.second?.era === era) return true;
    // a server that the probe found legacy is not modern; one that is modern may be both
    if (era === 'modern') return false;
    return this.first.era === undefined || !this.isSingle || this.lastUsed === undefined;
  }

  /** What is stored of the server: that it speaks both eras, or that it refused one of them. */
  private recall(): void {
    const { config, context, isUsable } = this.server;
    if (!isUsable || this.pinned) return;
    const known = context.learned.eras(serverKey(config));
    const other = known.find(({ era }) => era !== this.first.era);
    if (!other || known.length < 2) return;
    if (other.refusal !== null) this.bridged = { era: other.era, why: other.refusal, retryAt: Infinity };
    else if (!this.isSingle) this.second = this.create(other.era, true);
  }

  private create(era: Era | undefined, isTrial = false): EraUpstream {
    const upstream: EraUpstream = new EraUpstream(this.server, {
      era,
      use: {
        isTrial,
        idleMs: () => this.idleMs(upstream),
        offerBefore: () => (isTrial ? this.first.parts.offer.offer : EMPTY_OFFER),
      },
    });
    return upstream;
  }

  /** How long callers may leave the process of an era unused: a shorter time while the process of the other era runs, and no session that used this one is left. */
  private idleMs(upstream: EraUpstream): number {
    const { idle } = this.server.config.instances;
    const otherRuns = this.all.some((each) => each !== upstream && each.parts.shared.current !== undefined);
    const mayComeBack = upstream.era === 'legacy' && this.sessions.size > 0;
    return otherRuns && !mayComeBack ? Math.min(idle, BOUNDS.eraIdle) : idle;
  }

  private async try(era: Era): Promise<void> {
    this.trialEnds = performance.now() + BOUNDS.eraTrial;
    if (this.isSingle) return this.turn(era);
    const second = (this.second ??= this.create(era, true));
    const loss = await second.parts.shared.tried();
    if (!loss) this.bridged = undefined;
    else {
      if (this.second === second) this.forgetSecond(second);
      this.bridge(era, loss);
    }
  }

  /** Starts the one process again in the era of its first caller. */
  private async turn(era: Era): Promise<void> {
    await this.first.stop();
    if (this.stopping.signal.aborted) return;
    const turned = (this.first = this.create(era, true));
    const loss = await turned.parts.shared.tried();
    if (!loss || !this.bridge(era, loss)) return;
    await turned.stop();
    this.first = this.create(undefined);
    this.first.parts.shared.start();
  }

  /** The gateway translates for callers of an era from now on. Returns false where the trial only ended because the server is stopped. */
  private bridge(era: Era, { reason, detail, error, kind }: Loss): boolean {
    if (this.stopping.signal.aborted || kind === 'unused') return false;
    const { server } = this;
    const why = server.clean(reason);
    const isRefusal = error instanceof GatewayError && error.cause instanceof EraRefused;
    if (isRefusal) server.context.learned.rememberEra({ ...serverKey(server.config), era }, why);
    const pause = server.config.transport === 'stdio' ? BOUNDS.eraRetryMost : this.pauses.next();
    this.bridged = { era, why, retryAt: isRefusal ? Infinity : performance.now() + pause };
    server.record('server_bridged', { era, why: forOperator(why, detail) });
    return true;
  }

  /** Callers of its era are shown the offer of the first era from now on. */
  private forgetSecond(second: EraUpstream): void {
    this.second = undefined;
    const ending = second.stop().finally(() => this.endings.delete(ending));
    this.endings.add(ending);
    const { offers } = this.server.context;
    const kinds = differingKinds(second.parts.offer.offer, this.first.parts.offer.offer);
    if (second.era && second.parts.offer.stored)
      offers.ownerOfferChanged(this.server.name, eraAudience(second.era), kinds);
  }
}
