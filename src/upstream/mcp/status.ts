// What can be told about a server: for `mcp-gateway servers` and the admin API.
import type { StoredOffer } from '../../catalog/store.ts';
import type { ServerConfig } from '../../config/config.ts';
import type { Era, OfferKind } from '../../core/call.ts';
import { forOperator } from '../../core/errors.ts';
import type { Sharing } from './instances/affinity.ts';
import type { CircuitState } from './instances/circuit.ts';
import type { Connection } from './connect/connection.ts';
import type { RecentError } from './instances/recent-errors.ts';
import type { StdioProcess } from './process/stdio-process.ts';
import type { Trait } from './instances/trait-store.ts';

/** One process or connection. */
export interface InstanceStatus {
  /** `NAME#N`: which start of the server it is. */
  readonly id: string;
  /** Whose it is; absent where everybody shares it. */
  readonly owner?: string;
  readonly inFlight: number;
  readonly startedAt: string;
  /** Since when it runs nothing; absent while it does, and where everybody shares it. */
  readonly unusedSince?: string;
  readonly pid?: number;
  readonly logLevel?: string;
}

/** How its instances are shared, and what was learned of the server and why. */
export interface IsolationStatus {
  readonly configured: ServerConfig['isolation'];
  readonly sharing: Sharing;
  readonly learned: readonly { readonly trait: Trait; readonly why: string; readonly learnedAt: string }[];
}

/** Something that patterns of the configuration keep from callers. */
export interface DeniedStatus {
  readonly kind: OfferKind;
  readonly name: string;
  /** The rule, its pattern, and where that stands. */
  readonly why: string;
}

/** How many instances of sessions and principals there may be, and who waits for one. */
export interface PoolStatus {
  readonly max: number;
  readonly idleMs: number;
  readonly lazy: boolean;
  readonly waiting: number;
  /** Processes that were started ahead of the next owner, and are counted within `max`. */
  readonly spares: number;
}

/** Something that went wrong: when it did last, and how often in a row. */
export interface ErrorStatus {
  readonly at: string;
  readonly message: string;
  readonly times: number;
}

/**
 * `disabled` by configuration, `invalid` by a mistake in it, `connecting`, `ready`, `waiting` to be tried again after a failure,
 * `idle`: its process was not used and is started again on use; `stopped` with the gateway.
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
  readonly serverInfo?: string;
  readonly instance?: string;
  readonly pid?: number;
  /** How the process tree is kept from outliving the gateway. */
  readonly containment?: string;
  /** What the server can and cannot do in it, in one line. */
  readonly containmentDescription?: string;
  readonly tools: number;
  readonly prompts: number;
  readonly resources: number;
  readonly resourceTemplates: number;
  /** The offer shown is from an earlier connection. */
  readonly stale: boolean;
  readonly offerReadAt?: string;
  readonly inFlight: number;
  /** How often an instance was opened again after a failure or the loss of its session. */
  readonly restarts: number;
  /** `open`: calls fail at once, because the last ones failed; `half-open`: one is let through to see. */
  readonly circuit: CircuitState;
  /** The only call that an open circuit is about: its method and name. */
  readonly circuitTarget?: string;
  /** When an open circuit lets a call through to see. */
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
  /** What it offers and callers may not use, as the server names it. */
  readonly denied: readonly DeniedStatus[];
  /** The end of what a process wrote to stderr, and what was said outside MCP. */
  readonly tail: readonly string[];
}

/** As much of a name as is shown. */
const MOST_SHOWN = 200;

/** What callers get of the server: counted through the policy, and what is left out of it. */
export type OfferedStatus = Pick<
  ServerStatus,
  'tools' | 'prompts' | 'resources' | 'resourceTemplates' | 'warnings' | 'denied'
>;

/** What a server's upstream knows of itself. */
export interface ServerFacts extends Pick<
  ServerStatus,
  'state' | 'inFlight' | 'restarts' | 'circuit' | 'isolation' | 'instances' | 'pool' | 'tail'
> {
  readonly offered: OfferedStatus;
  readonly connection: Connection | undefined;
  readonly stored: StoredOffer | undefined;
  readonly process: StdioProcess | undefined;
  readonly errors: readonly RecentError[];
  readonly circuitTarget: string | undefined;
  /** Milliseconds until an open circuit lets a call through. */
  readonly circuitRetryMs: number;
  readonly nextAttemptAt: number | undefined;
}

/** Puts configuration and facts together; times are UTC. */
export function describeServer(config: ServerConfig, facts: ServerFacts): ServerStatus {
  const { state, inFlight, restarts, circuit, isolation, instances, pool, tail, stored } = facts;
  const last = facts.errors.at(-1);
  return {
    name: config.name,
    alias: config.alias,
    state,
    transport: facts.connection?.wire.transport ?? config.transport,
    display: config.display,
    source: `${config.source.file}:${config.source.line}`,
    ...identityOf(facts),
    ...facts.offered,
    stale: stored !== undefined && state !== 'ready' && state !== 'idle',
    ...(stored && { offerReadAt: utc(stored.fetchedAt) }),
    inFlight,
    restarts,
    circuit,
    ...(facts.circuitTarget !== undefined && { circuitTarget: facts.circuitTarget.slice(0, MOST_SHOWN) }),
    ...(circuit === 'open' && { circuitRetryAt: utc(Date.now() + facts.circuitRetryMs) }),
    isolation,
    instances,
    pool,
    errors: facts.errors.map(({ at, message, detail, times }) => ({
      at: utc(at),
      message: forOperator(message, detail),
      times,
    })),
    ...(last && { lastError: forOperator(last.message, last.detail), lastErrorAt: utc(last.at) }),
    ...(facts.nextAttemptAt !== undefined && { nextAttemptAt: utc(facts.nextAttemptAt) }),
    tail,
  };
}

function identityOf({ connection, stored, process }: ServerFacts): Partial<ServerStatus> {
  const info = connection?.handshake.serverInfo ?? stored?.offer.serverInfo;
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

export function utc(ms: number): string {
  return new Date(ms).toISOString();
}
