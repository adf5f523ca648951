// The table of legacy sessions over HTTP: bounded, each belonging to one principal and one endpoint, idle ones expire.
import { randomBytes } from 'node:crypto';
import { GatewayError } from '../../core/errors.ts';
import type { Caller } from './caller.ts';
import type { EndpointLimits } from './limits.ts';

/** What the table knows of a session. */
export interface HeldSession {
  readonly caller: Caller;
  /** Whether something of it is open, so that it does not age. */
  readonly busy: boolean;
  /** When it was last used, on the clock of the limits. */
  lastUsed: number;
  end(): void;
}

export interface SessionOwner<S extends HeldSession> {
  readonly caller: Caller;
  /** The class of the transport's sessions: an id of another transport names nothing. */
  readonly kind: abstract new (...given: never) => S;
}

const UNKNOWN = 'The session is unknown or has ended.';
const FOREIGN = 'The session belongs to another principal, or to another endpoint.';

export class Sessions {
  private readonly sessions = new Map<string, HeldSession>();
  private readonly most: number;
  private readonly limits: EndpointLimits;
  private readonly onRefused: (caller: Caller, reason: string) => void;
  private readonly sweeper: NodeJS.Timeout;

  /** `onRefused` is told of every caller that named a session which is not its own, and why; the caller is not told which it was. */
  constructor(
    most: number,
    limits: EndpointLimits,
    onRefused: (caller: Caller, reason: string) => void = () => undefined,
  ) {
    this.most = most;
    this.limits = limits;
    this.onRefused = onRefused;
    this.sweeper = setInterval(() => this.sweep(), limits.sweepMs).unref();
  }

  /** Opens a session; the id is the secret that names it. Throws `too_many_sessions` before it makes one. */
  open<S extends HeldSession>(make: () => S): { id: string; session: S } {
    if (this.sessions.size >= this.most) this.sweep();
    if (this.sessions.size >= this.most)
      throw new GatewayError('too_many_sessions', `All ${this.most} sessions are in use (limits.sessions).`);
    const id = randomBytes(24).toString('base64url');
    const session = make();
    session.lastUsed = this.limits.now();
    this.sessions.set(id, session);
    return { id, session };
  }

  /** Finds a caller's session. A missing id is 400; one that is unknown, or somebody else's, is 404 (2025-11-25 transports, Session Management). */
  find<S extends HeldSession>(id: string | undefined, { caller, kind }: SessionOwner<S>): S {
    if (id === undefined)
      throw new GatewayError('session_required', 'The Mcp-Session-Id header is missing; start with `initialize`.');
    const session = this.sessions.get(id);
    const own = session?.caller.principal.id === caller.principal.id && session.caller.scope === caller.scope;
    if (session && own && this.isIdle(session)) this.end(id);
    else if (own && session instanceof kind) {
      session.lastUsed = this.limits.now();
      return session;
    }
    this.onRefused(caller, session && !own ? FOREIGN : UNKNOWN);
    throw new GatewayError(
      'session_unknown',
      'The session is unknown or has ended; start a new one with `initialize`.',
    );
  }

  end(id: string): void {
    this.sessions.get(id)?.end();
    this.sessions.delete(id);
  }

  close(): void {
    clearInterval(this.sweeper);
    for (const session of this.sessions.values()) session.end();
    this.sessions.clear();
  }

  private isIdle({ busy, lastUsed }: HeldSession): boolean {
    return !busy && lastUsed < this.limits.now() - this.limits.idleMs;
  }

  private sweep(): void {
    for (const [id, session] of this.sessions) if (this.isIdle(session)) this.end(id);
  }
}
