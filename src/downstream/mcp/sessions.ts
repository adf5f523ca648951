// The table of legacy sessions over HTTP, each of which belongs to one principal and one endpoint and expires when it is idle.
import type { Caller } from '../../gateway/gateway.ts';
import { randomBytes } from 'node:crypto';
import { isSameEndpoint } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { FairShare } from '../../core/fair-share.ts';
import type { Principal } from '../../core/principal.ts';
import type { EndpointLimits } from './limits.ts';

/** What the table sees of a session. */
export interface TableSession {
  readonly caller: Caller;
  /** Whether a request or a stream of it is open; such a session does not expire. */
  readonly busy: boolean;
  /** When it was last used, on the clock of `EndpointLimits`. */
  lastUsed: number;
  end(): void;
}

export interface SessionOwner<S extends TableSession> {
  readonly caller: Caller;
  /** The class of the transport's sessions; a session of another transport is not found. */
  readonly kind: abstract new (...given: never) => S;
}

/** Why a session is not found. Only the operator sees the difference; the caller gets the same message for both. */
const UNKNOWN = 'The session is unknown or has ended.';
const FOREIGN = 'The session belongs to another principal, or to another endpoint.';

export class Sessions {
  private readonly sessions = new Map<string, TableSession>();
  private readonly shares: FairShare;
  private readonly most: number;
  private readonly limits: EndpointLimits;
  private readonly sweeper: NodeJS.Timeout;

  constructor(most: number, limits: EndpointLimits) {
    this.most = most;
    this.shares = new FairShare({ most });
    this.limits = limits;
    this.sweeper = setInterval(() => this.sweep(), limits.bounds.sessionSweep).unref();
  }

  /**
   * Opens a session of a principal; the id is the secret that names it. A principal may have no more sessions than are free for others,
   * unless it is `local`. If it has that many, the one that was unused for longest ends. Throws `too_many_sessions`, before it calls `make`,
   * if all of them are in use.
   */
  open<S extends TableSession>(owner: Principal, make: () => S): { id: string; session: S } {
    const { id: principal } = owner;
    if (!this.hasRoom(owner)) this.sweep();
    if (!this.hasRoom(owner)) this.makeRoom(principal);
    const id = randomBytes(24).toString('base64url');
    const session = make();
    session.lastUsed = this.limits.now();
    this.sessions.set(id, session);
    this.shares.take(principal);
    return { id, session };
  }

  /** Finds a caller's session. No id is 400; an unknown id, or that of another caller, is 404 (2025-11-25 transports, Session Management). */
  find<S extends TableSession>(id: string | undefined, { caller, kind }: SessionOwner<S>): S {
    if (id === undefined)
      throw new GatewayError('session_required', 'The Mcp-Session-Id header is missing; start with `initialize`.');
    const session = this.sessions.get(id);
    const own =
      session?.caller.principal.id === caller.principal.id && isSameEndpoint(session.caller.endpoint, caller.endpoint);
    if (session && own && this.isIdle(session)) this.end(id);
    else if (own && session instanceof kind) {
      session.lastUsed = this.limits.now();
      return session;
    }
    throw new GatewayError(
      'session_unknown',
      'The session is unknown or has ended; start a new one with `initialize`.',
      {
        detail: session && !own ? FOREIGN : UNKNOWN,
      },
    );
  }

  end(id: string): void {
    const session = this.sessions.get(id);
    if (!session) return;
    this.sessions.delete(id);
    this.shares.giveBack(session.caller.principal.id);
    session.end();
  }

  close(): void {
    clearInterval(this.sweeper);
    for (const id of [...this.sessions.keys()]) this.end(id);
  }

  private hasRoom({ id, kind }: Principal): boolean {
    const { free } = this.shares;
    return kind === 'local' ? free > 0 : this.shares.of(id).count < free;
  }

  private makeRoom(principal: string): void {
    let oldest: string | undefined;
    let since = Infinity;
    for (const [id, { caller, busy, lastUsed }] of this.sessions)
      if (caller.principal.id === principal && !busy && lastUsed < since) [oldest, since] = [id, lastUsed];
    if (oldest === undefined)
      throw new GatewayError(
        'too_many_sessions',
        `Of ${this.most} sessions (limits.sessions) ${this.sessions.size} are in use, ${this.shares.of(principal).count} of them by this caller; others need what is free.`,
      );
    this.end(oldest);
  }

  private isIdle({ busy, lastUsed }: TableSession): boolean {
    return !busy && lastUsed < this.limits.now() - this.limits.bounds.sessionIdleTime;
  }

  private sweep(): void {
    for (const [id, session] of this.sessions) if (this.isIdle(session)) this.end(id);
  }
}
