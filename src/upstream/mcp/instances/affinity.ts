// Whose calls may share an instance of a server (design, Instances and affinity).
import type { ClientSession, Exchange } from '../../../core/exchange.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Principal } from '../../../core/principal.ts';
import { declarable, NO_CAPABILITIES } from '../../../protocol/mcp/client-capabilities.ts';

/** What a server's instances are shared by, once `auto` is decided. */
export type Sharing = 'shared' | 'session' | 'principal';

/** Who makes a call, as far as instances are concerned; a call says it of itself. */
export interface CallerFacts {
  readonly principal: Principal;
  /** Absent for modern clients, which have none. */
  readonly session?: ClientSession;
  /** What the caller declared that it can do, and when it is gone. */
  readonly exchange: Pick<Exchange, 'capabilities' | 'signal'>;
}

/** A session or principal that instances belong to. */
export interface Owner {
  readonly key: string;
  /** The same, for people. */
  readonly label: string;
  /** The id of the principal that it is, or whose session it is. */
  readonly principal: string;
  readonly session?: ClientSession;
  /** What its instances declare to the server: exactly what the caller declared. */
  readonly capabilities: JsonObject;
}

/** Owners of the callers that outlive a call: a session is one caller's, and declares once what it can do. */
const ownersOf: Readonly<Record<'session' | 'principal', WeakMap<ClientSession, Owner>>> = {
  session: new WeakMap(),
  principal: new WeakMap(),
};

/** The owner of the instance that a call runs on; undefined where everybody shares one. */
export function ownerOf(sharing: Sharing, caller: CallerFacts): Owner | undefined {
  if (sharing === 'shared') return undefined;
  const { session } = caller;
  if (!session) return principalOf(caller);
  const known = ownersOf[sharing].get(session);
  if (known) return known;
  const owner = sharing === 'session' ? sessionOf(caller, session) : principalOf(caller);
  ownersOf[sharing].set(session, owner);
  return owner;
}

function sessionOf({ principal, exchange }: CallerFacts, session: ClientSession): Owner {
  const label = `${session.key} of ${principal.id}`;
  return {
    key: session.key,
    label,
    principal: principal.id,
    session,
    capabilities: declarable(exchange.capabilities),
  };
}

/** Callers of one principal may differ in what they can answer, and an instance declares it only once. */
function principalOf({ principal, exchange }: CallerFacts): Owner {
  const capabilities = declarable(exchange.capabilities);
  const declared = capabilities === NO_CAPABILITIES ? '{}' : JSON.stringify(capabilities);
  return { key: `${principal.id} ${declared}`, label: principal.id, principal: principal.id, capabilities };
}

/** The keys of every owner that a caller can be. */
export function ownerKeys(caller: CallerFacts): ReadonlySet<string> {
  const owners = (['session', 'principal'] as const).map((sharing) => ownerOf(sharing, caller)?.key);
  return new Set(owners.filter((key) => key !== undefined));
}

/** What instances that everybody shares declare: what can be passed to the one caller that a question belongs to. */
export const SHARED_CAPABILITIES: JsonObject = Object.freeze({
  elicitation: { form: {}, url: {} },
  sampling: { tools: {} },
});
