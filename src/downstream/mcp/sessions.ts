// The table of legacy HTTP sessions: bounded, each belonging to one principal and one endpoint, idle ones expire.
import { randomBytes } from 'node:crypto';
import { GatewayError } from '../../core/errors.ts';
import { type Caller } from './caller.ts';
import { Session, type SessionOptions } from './session.ts';

/** A session without request or stream for this long has ended. */
const IDLE_MS = 60 * 60_000;
const SWEEP_MS = 60_000;

export class Sessions {
  private readonly sessions = new Map<string, Session>();
  private readonly limit: number;
  private readonly sweeper: NodeJS.Timeout;

  constructor(limit: number) {
    this.limit = limit;
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  /** Opens a session; the id is the secret that names it. Throws `too_many_sessions`. */
  open(options: SessionOptions): { id: string; session: Session } {
    if (this.sessions.size >= this.limit) this.sweep();
    if (this.sessions.size >= this.limit)
      throw new GatewayError('too_many_sessions', `All ${this.limit} sessions are in use (limits.sessions).`);
    const id = randomBytes(24).toString('base64url');
    const session = new Session(options);
    this.sessions.set(id, session);
    return { id, session };
  }

  /** Finds a caller's session. A missing id is 400; one that is unknown, or somebody else's, is 404 (2025-11-25 transports, Session Management). */
  find(id: string | undefined, caller: Caller): Session {
    if (id === undefined)
      throw new GatewayError('session_required', 'The Mcp-Session-Id header is missing; start with `initialize`.');
    const session = this.sessions.get(id);
    const own = session?.caller.principal.id === caller.principal.id && session.caller.scope === caller.scope;
    if (!session || !own)
      throw new GatewayError(
        'session_unknown',
        'The session is unknown or has ended; start a new one with `initialize`.',
      );
    session.lastUsed = performance.now();
    return session;
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

  private sweep(): void {
    const oldest = performance.now() - IDLE_MS;
    for (const [id, session] of this.sessions) if (!session.busy && session.lastUsed < oldest) this.end(id);
  }
}
