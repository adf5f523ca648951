// Everything that the gateway keeps of a server in one era: its instances, offer, traits, circuit and subscriptions.
import { Backoff } from '../../core/backoff.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era } from '../../core/call.ts';
import { GatewayError, reasonOf } from '../../core/errors.ts';
import type { LogLevel } from '../../protocol/mcp/vocabulary.ts';
import type { ConfiguredServer } from './configured-server.ts';
import { untilTriedAgain } from './connect/backoff.ts';
import type { ConnectionRequest, UpstreamReply } from './connect/connection.ts';
import type { InstanceCaller, Owner } from './instances/affinity.ts';
import { closedFor, type Instance } from './instances/instance.ts';
import { Instances } from './instances/instances.ts';
import { Isolation } from './instances/isolation.ts';
import { OwnedInstances } from './instances/owned-instances.ts';
import { SharedInstance, type EraUse } from './instances/shared-instance.ts';
import { UrlElicitations } from './instances/url-elicitations.ts';
import { KnownOffer } from './offer/known-offer.ts';
import { SubscribedResources } from './offer/subscribed-resources.ts';
import { SpokenEra } from './spoken-era.ts';
import { SessionLost, type WireReply } from './wire/wire.ts';

const UNSUPPORTED_VERSION = -32022;

/** The parts, each built of those above it. */
function partsOf(server: ConfiguredServer, { era, use }: EraOptions) {
  const spoken = new SpokenEra(server, era);
  const circuit = new Circuit();
  const urlElicitations = new UrlElicitations();
  const isolation = new Isolation(server, spoken);
  const offer = new KnownOffer(server, spoken, use);
  const instances = new Instances({ server, spoken, isolation, offer, urlElicitations });
  const shared = new SharedInstance(server, { instances, offer, circuit, use });
  const owned = new OwnedInstances(server, { instances, isolation, offer, circuit, shared });
  const subscribed = new SubscribedResources({ isolation, shared, owned });
  return { server, spoken, circuit, urlElicitations, isolation, offer, instances, shared, owned, subscribed };
}

export interface EraOptions {
  /** The only era to speak; undefined where the gateway probes the server. */
  readonly era?: Era | undefined;
  readonly use: EraUse;
}

export class EraUpstream {
  readonly parts: ReturnType<typeof partsOf>;

  constructor(server: ConfiguredServer, options: EraOptions) {
    this.parts = partsOf(server, options);
  }

  /** Undefined before the first handshake, where nothing is remembered. */
  get era(): Era | undefined {
    return this.parts.shared.current?.connection.era ?? this.parts.spoken.known;
  }

  /** Sends a request of a caller. Throws GatewayError; what the server did not process is sent again once (wire.md, Retrying). */
  async request(request: ConnectionRequest, caller: InstanceCaller): Promise<UpstreamReply> {
    const { circuit, isolation, server } = this.parts;
    const pass = circuit.isClosed ? 'call' : circuit.admit(targetOf(request));
    if (pass === undefined) throw circuit.refusal(server.name);
    try {
      const answered = await this.send(request, isolation.ownerOf(caller));
      circuit.succeeded();
      return answered;
    } catch (error) {
      circuit.ended(pass);
      throw error instanceof SessionLost ? closedFor(error) : error;
    }
  }

  /** A session wants log lines of this level. If its owner has no instance yet, the session's calls set the level. */
  wantLogLevel(level: LogLevel, caller: InstanceCaller): void {
    const { isolation, owned, shared } = this.parts;
    const owner = isolation.ownerOf(caller);
    if (owner) owned.raiseLevel(owner, level);
    else shared.current?.raiseLevel(level);
  }

  /** Opens nothing any more unless a call waits for it; `stop` follows. */
  quiesce(): void {
    this.parts.shared.quiesce();
    this.parts.owned.quiesce();
  }

  /** Ends every instance; resolves when every process tree is gone. */
  async stop(): Promise<void> {
    const { shared, owned, instances } = this.parts;
    const ended = shared.stop();
    await Promise.all([owned.stop(), instances.close()]);
    await instances.close(); // of instances that were being opened
    await ended;
  }

  private async send(request: ConnectionRequest, owner: Owner | undefined): Promise<UpstreamReply> {
    const { circuit, urlElicitations } = this.parts;
    const answersBefore = circuit.answers;
    for (let again = false; ; again = true) {
      const acquiring = this.acquire(request, owner);
      const instance = acquiring instanceof Promise ? await acquiring : acquiring;
      try {
        const reply = await instance.request(request);
        if (reply.error) urlElicitations.required(reply.error, request.session, owner);
        if (again || !this.dropIfOutdated(reply, instance)) return { connection: instance.connection, reply };
      } catch (error) {
        if (again || !instance.dropIfUnprocessed(error)) {
          // a failure of an owner's instance concerns that owner alone
          circuit.count(error, owner ? undefined : failureOf(error, request, answersBefore), this.parts.server);
          throw error;
        }
      } finally {
        if (owner) this.parts.owned.release(instance);
        else instance.vacate();
      }
    }
  }

  /** An instance for one call. Throws GatewayError. */
  private acquire(request: ConnectionRequest, owner: Owner | undefined): Instance | Promise<Instance> {
    const { shared, owned } = this.parts;
    const { patient = false } = request;
    const signal = request.exchange?.signal;
    if (!owner) return shared.current?.occupy() ?? shared.acquire(signal, { patient }).then((one) => one.occupy());
    if (shared.state !== 'waiting') return owned.acquire(owner, signal);
    if (!patient) throw shared.unavailable();
    return shared.acquire(signal, { patient }).then(() => owned.acquire(owner, signal));
  }

  /** A server that no longer speaks the agreed version was replaced by another: its era is probed again. */
  private dropIfOutdated({ error }: WireReply, instance: Instance): boolean {
    if (instance.connection.era !== 'modern' || error?.code !== UNSUPPORTED_VERSION) return false;
    this.parts.spoken.forget();
    instance.drop({ reason: 'it no longer speaks the version that it spoke', kind: 'replaced' });
    return true;
  }
}

const PAUSES = { firstMs: BOUNDS.circuitPauseFirst, mostMs: BOUNDS.circuitPauseMost };

/** Failures that show that the server cannot serve now. */
const FAILURES = new Set<string>([
  'upstream_unreachable',
  'upstream_closed',
  'upstream_timed_out',
  'upstream_protocol',
  'upstream_failed',
]);

/** Whether the server caused a failure, and not the caller by cancelling or the gateway by refusing. */
export function isServerFailure(error: unknown): boolean {
  return error instanceof SessionLost || (error instanceof GatewayError && FAILURES.has(error.code));
}

export type CircuitState = 'closed' | 'open' | 'half-open';

/** How a call was admitted: as one of many, or alone, as the probe of an open circuit. */
export type Pass = 'call' | 'probe';

/** A call that the server could not serve. */
export interface Failure {
  /** What was called. */
  readonly target: string;
  /** Whether it timed out: one tool may hang while its server serves others. */
  readonly timedOut: boolean;
  /** What `answers` was when the call was sent. */
  readonly answersBefore: number;
}

type Called = Pick<ConnectionRequest, 'method' | 'params'>;

/** What a request calls. */
export function targetOf({ method, params }: Called): string {
  const named = params.name ?? params.uri;
  return typeof named === 'string' ? `${method} ${named}` : method;
}

export function failureOf(error: unknown, request: Called, answersBefore: number): Failure {
  const timedOut = error instanceof GatewayError && error.code === 'upstream_timed_out';
  return { target: targetOf(request), timedOut, answersBefore };
}

/**
 * Counts failures in a row; any answer of the server, an error too, ends the row. A time-out does not count if the server has answered any
 * call since the call was sent. If only time-outs of one target were counted, the circuit refuses that target alone.
 */
export class Circuit {
  private readonly now: () => number;
  /** How often the server answered. */
  answers = 0;
  private failures = 0;
  /** The only target that failed in this row, if it only timed out. */
  private hanging: string | undefined;
  private openedAt = 0;
  /** 0 while it is closed. */
  private openMs = 0;
  private readonly pauses = new Backoff(PAUSES);
  private probing = false;

  /** `now` is in milliseconds, on a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  get state(): CircuitState {
    if (this.openMs === 0) return 'closed';
    return this.now() - this.openedAt >= this.openMs ? 'half-open' : 'open';
  }

  /** Milliseconds until a probe may pass. */
  get retryAfterMs(): number {
    return this.openMs === 0 ? 0 : Math.max(0, this.openedAt + this.openMs - this.now());
  }

  /** Whether every call is admitted. */
  get isClosed(): boolean {
    return this.openMs === 0;
  }

  /** Admits a call of this target; undefined if it is refused. While half open, one call at a time is admitted. Call `succeeded` or `ended` afterwards. */
  admit(target: string): Pass | undefined {
    if (this.openMs === 0 || (this.hanging !== undefined && this.hanging !== target)) return 'call';
    if (this.probing || this.state === 'open') return undefined;
    this.probing = true;
    return 'probe';
  }

  /** The error of a call that is refused now. */
  refusal(server: string): GatewayError {
    const reason =
      this.hanging === undefined
        ? `The server "${server}" is not given calls for now: the last ones failed.`
        : `The server "${server}" is not given this call for now: the last ones like it ran out of time.`;
    return new GatewayError('upstream_unreachable', untilTriedAgain(reason, this.retryAfterMs));
  }

  /** The server answered. */
  succeeded(): void {
    this.answers++;
    if (this.failures === 0) return;
    this.failures = 0;
    this.hanging = undefined;
    this.openMs = 0;
    this.probing = false;
  }

  /** The only target that is refused; undefined if all are, or none. */
  get onlyTarget(): string | undefined {
    return this.isClosed ? undefined : this.hanging;
  }

  /** The server could not serve a call. Returns whether this opened the circuit, or extended it from one target to the whole server. */
  failed({ target, timedOut, answersBefore }: Failure): boolean {
    if (timedOut && answersBefore !== this.answers) return false;
    const wasOfOne = this.onlyTarget !== undefined;
    this.hanging = timedOut && (this.failures === 0 || target === this.hanging) ? target : undefined;
    this.failures++;
    if (this.failures < BOUNDS.circuitFailures) return false;
    const isNews = this.isClosed || (wasOfOne && this.hanging === undefined);
    if (isNews || this.state === 'half-open') {
      if (isNews) this.pauses.reset();
      this.openMs = this.pauses.next();
      this.openedAt = this.now();
    }
    return isNews;
  }

  /** Records a failure of the server among its recent errors, and counts it here if `failure` is given: one of an owner's instance concerns that owner alone. */
  count(error: unknown, failure: Failure | undefined, server: ConfiguredServer): void {
    if (!isServerFailure(error)) return;
    server.recordError(error);
    if (failure && this.failed(failure)) server.record('circuit_opened', { reason: server.clean(reasonOf(error)) });
  }

  /** A call that was admitted ended without an answer. */
  ended(pass: Pass): void {
    if (pass === 'probe') this.probing = false;
  }
}
