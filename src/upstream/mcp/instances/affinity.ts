// Which calls may share an instance of a server (design, Instances and affinity).
import type { Era } from '../../../core/call.ts';
import type { ClientSession, Exchange } from '../../../core/exchange.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Principal } from '../../../core/principal.ts';
import { declarable, NO_CAPABILITIES } from '../../../protocol/mcp/capabilities.ts';

/** Who shares an instance of a server, with `auto` resolved. */
export type Sharing = 'shared' | 'session' | 'principal';

/** The facts of a call that decide on which instance it runs. */
export interface InstanceCaller {
  readonly era: Era;
  readonly principal: Principal;
  /** Absent for modern clients, which have none. */
  readonly session?: ClientSession | undefined;
  /** What the caller declared that it can do, and when it is gone. */
  readonly exchange: Pick<Exchange, 'capabilities' | 'signal'>;
}

/** A session or principal that instances belong to. */
export interface Owner {
  readonly key: string;
  /** The same, for people. */
  readonly label: string;
  /** The id of the principal, or of the session's principal. */
  readonly principal: string;
  readonly session?: ClientSession | undefined;
  /** What its instances declare to the server: exactly what the caller declared. */
  readonly capabilities: JsonObject;
}

/** The owner of the instance that a call runs on. */
export function ownerOf(sharing: 'session' | 'principal', caller: InstanceCaller): Owner {
  const { principal, session, exchange } = caller;
  const capabilities = declarable(exchange.capabilities);
  if (session && sharing === 'session')
    return {
      key: session.key,
      label: `${session.key} of ${principal.id}`,
      principal: principal.id,
      session,
      capabilities,
    };
  // callers of one principal may differ in what they can answer, and an instance declares it only once
  const declared = capabilities === NO_CAPABILITIES ? '{}' : JSON.stringify(capabilities);
  return { key: `${principal.id} ${declared}`, label: principal.id, principal: principal.id, capabilities };
}

/** Who hears of what only callers of one era are offered. */
export function eraAudience(era: Era): string {
  return `era ${era}`;
}

/** The audiences that a caller belongs to: every owner that it can be, and the callers of its era. */
export function audiencesOf(caller: InstanceCaller): ReadonlySet<string> {
  return new Set([ownerOf('session', caller).key, ownerOf('principal', caller).key, eraAudience(caller.era)]);
}

/** What an instance that everybody shares declares: the capabilities whose requests can be routed to the one caller that they belong to. */
export const SHARED_CAPABILITIES: JsonObject = Object.freeze({
  elicitation: { form: {}, url: {} },
  sampling: { tools: {} },
});
