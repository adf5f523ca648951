// The status of a server, for `mcp-gateway servers` and the control socket.
import type { ServerConfig } from '../../config/config.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era, OfferKind } from '../../core/call.ts';
import { forOperator } from '../../core/errors.ts';
import type { ConfiguredServer } from './configured-server.ts';
import type { Circuit, CircuitState } from './era-upstream.ts';
import type { Eras } from './eras.ts';
import type { Sharing } from './instances/affinity.ts';
import type { SharedInstance } from './instances/shared-instance.ts';
import type { Trait } from './learned-store.ts';
import type { KnownOffer } from './offer/known-offer.ts';
import type { StdioProcess } from './process/stdio-process.ts';
import { StdioWire } from './wire/stdio-wire.ts';

/** One process or connection. */
export interface InstanceStatus {
  /** `NAME#N`: which start of the server it is. */
  readonly id: string;
  /** The session or principal that it belongs to; absent if everybody shares it. */
  readonly owner?: string;
  readonly era: Era;
  readonly inFlight: number;
  readonly startedAt: string;
  /** Since when it has had no calls; absent while it has some, and if everybody shares it. */
  readonly unusedSince?: string;
  readonly pid?: number;
  readonly logLevel?: string;
}

/** How its instances are shared, and which traits of the server were learned and why. */
export interface IsolationStatus {
  readonly configured: ServerConfig['isolation'];
  readonly sharing: Sharing;
  readonly learned: readonly { readonly trait: Trait; readonly why: string; readonly learnedAt: string }[];
}

/** A target that callers may not use, because of a pattern in the configuration. */
export interface DeniedStatus {
  readonly kind: OfferKind;
  readonly name: string;
  /** The rule, its pattern, and the position of the pattern. */
  readonly why: string;
}

/** How many instances sessions and principals may have together, and how many callers wait for one. */
export interface PoolStatus {
  readonly max: number;
  readonly idleMs: number;
  readonly lazy: boolean;
  readonly waiting: number;
  /** Prewarmed processes, which count within `max`. */
  readonly spares: number;
}

/** An era that a server speaks beside the one that it was first spoken to in. */
export interface SecondEraStatus {
  readonly era: Era;
  readonly state: UpstreamState;
  readonly version?: string;
  readonly sharing: Sharing;
}

/** An error: when it occurred last, and how often in a row. */
export interface ErrorStatus {
  readonly at: string;
  readonly message: string;
  readonly times: number;
}

/**
 * `disabled` by configuration; `invalid`: its entry has a mistake; `waiting` to be tried again after a failure; `idle`: its process was not
 * used and is started on use; `stopped` with the gateway.
 */
export type UpstreamState = 'disabled' | 'invalid' | 'connecting' | 'ready' | 'waiting' | 'idle' | 'stopped';

export interface ServerStatus {
  readonly name: string;
  readonly alias: string;
  readonly state: UpstreamState;
  readonly transport: string;
  /** Command line or URL, safe to show. */
  readonly display: string;
  readonly source: string;
  readonly era?: Era;
  readonly version?: string;
  /** The other era, where the server speaks both. */
  readonly second?: SecondEraStatus;
  /** The era that the server does not speak, so that the gateway translates for its callers. */
  readonly bridged?: { readonly era: Era; readonly why: string };
  readonly serverInfo?: string;
  readonly instance?: string;
  readonly pid?: number;
  /** The mechanism that ends the process tree with the gateway. */
  readonly containment?: string;
  /** What the server can and cannot do in it, in one line. */
  readonly containmentDescription?: string;
  readonly tools: number;
  readonly prompts: number;
  readonly resources: number;
  readonly resourceTemplates: number;
  /** Whether the offer is from an earlier connection. */
  readonly stale: boolean;
  readonly offerReadAt?: string;
  readonly inFlight: number;
  /** How often an instance failed or lost its session. */
  readonly restarts: number;
  /** `open`: calls are refused, because the last ones failed; `half-open`: one call is admitted as a probe. */
  readonly circuit: CircuitState;
  /** The only call that an open circuit refuses: its method and name. */
  readonly circuitTarget?: string;
  /** When an open circuit admits a probe. */
  readonly circuitRetryAt?: string;
  readonly isolation: IsolationStatus;
  readonly instances: readonly InstanceStatus[];
  readonly pool: PoolStatus;
  /** The last errors, the oldest first. */
  readonly errors: readonly ErrorStatus[];
  readonly lastError?: string;
  readonly lastErrorAt?: string;
  readonly nextAttemptAt?: string;
  /** Tools that are not offered, and why; patterns that match nothing. */
  readonly warnings: readonly string[];
  /** What callers may not use, as the server names it. */
  readonly denied: readonly DeniedStatus[];
  /** The end of stderr, and the last messages that are not MCP. */
  readonly tail: readonly string[];
}

/** What the policy lets callers use of the server, and what it does not. */
export type OfferedStatus = Pick<
  ServerStatus,
  'tools' | 'prompts' | 'resources' | 'resourceTemplates' | 'warnings' | 'denied'
>;

/** The parts of an upstream that its status is read from, and what the gateway adds. */
export interface StatusParts {
  readonly eras: Eras;
  readonly inFlight: number;
  readonly offered: OfferedStatus;
}

/** The status of a server as it is now; times are UTC. */
export function describeServer({ config, errors, diagnostics }: ConfiguredServer, parts: StatusParts): ServerStatus {
  const { eras, inFlight, offered } = parts;
  const { shared, isolation, offer, circuit } = eras.first.parts;
  const all = eras.all.map((each) => each.parts);
  const pools = all.map(({ owned }) => owned.pool);
  const { state, current, nextAttemptAt } = shared;
  const { max, idle, lazy } = config.instances;
  const last = errors.last;
  return {
    name: config.name,
    alias: config.alias,
    state,
    transport: current?.connection.wire.transport ?? config.transport,
    display: config.display,
    source: `${config.source.file}:${config.source.line}`,
    ...identityOf(shared, offer),
    ...erasOf(eras),
    ...offered,
    warnings: [...offer.problems, ...offered.warnings],
    stale: offer.stored !== undefined && state !== 'ready' && state !== 'idle',
    ...(offer.stored && { offerReadAt: utc(offer.stored.fetchedAt) }),
    inFlight,
    restarts: sum(all.map((each) => each.shared.restarts + each.owned.losses)),
    ...describeCircuit(circuit),
    isolation: isolation.status(),
    instances: all.flatMap((each) => [
      ...(each.shared.current ? [each.shared.current.status()] : []),
      ...each.owned.status(),
    ]),
    pool: {
      max,
      idleMs: idle,
      lazy,
      waiting: sum(pools.map(({ waiting }) => waiting)),
      spares: sum(pools.map(({ spares }) => spares)),
    },
    errors: errors.all.map(({ at, message, detail, times }) => ({
      at: utc(at),
      message: forOperator(message, detail),
      times,
    })),
    ...(last && { lastError: forOperator(last.message, last.detail), lastErrorAt: utc(last.at) }),
    ...(nextAttemptAt !== undefined && { nextAttemptAt: utc(nextAttemptAt) }),
    tail: [...(processOf(shared)?.stderrTail() ?? []), ...diagnostics],
  };
}

function describeCircuit(circuit: Circuit): Pick<ServerStatus, 'circuit' | 'circuitTarget' | 'circuitRetryAt'> {
  const { state, onlyTarget, retryAfterMs } = circuit;
  return {
    circuit: state,
    ...(onlyTarget !== undefined && { circuitTarget: onlyTarget.slice(0, BOUNDS.quotedValue) }),
    ...(state === 'open' && { circuitRetryAt: utc(Date.now() + retryAfterMs) }),
  };
}

/** The other era, and the one that is translated. */
function erasOf({ second, bridged }: Eras): Pick<ServerStatus, 'second' | 'bridged'> {
  if (!second?.era || !second.parts.shared.wasReady)
    return bridged ? { bridged: { era: bridged.era, why: bridged.why } } : {};
  const { shared, isolation } = second.parts;
  const version = shared.current?.connection.handshake.version;
  return {
    second: {
      era: second.era,
      state: shared.state,
      sharing: isolation.sharing,
      ...(version !== undefined && { version }),
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function identityOf(shared: SharedInstance, offer: KnownOffer): Partial<ServerStatus> {
  const connection = shared.current?.connection;
  const process = processOf(shared);
  const info = connection?.handshake.serverInfo ?? offer.stored?.offer.serverInfo;
  return {
    ...(connection && { era: connection.era, version: connection.handshake.version, instance: connection.instance }),
    ...(info && { serverInfo: `${info.name} ${info.version}`.trim() }),
    ...(process?.pid !== undefined && { pid: process.pid }),
    ...(process?.containment && {
      containment: process.containment.name,
      containmentDescription: process.containment.description,
    }),
  };
}

function processOf({ wire }: SharedInstance): StdioProcess | undefined {
  return wire instanceof StdioWire ? wire.process : undefined;
}

export function utc(ms: number): string {
  return new Date(ms).toISOString();
}
