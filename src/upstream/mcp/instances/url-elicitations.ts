// Remembers which sessions a legacy server sent to which URLs, and notifies them of completion (2025-11-25 client/elicitation).
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { ClientSession } from '../../../core/exchange.ts';
import { isObject, type JsonObject, type JsonValue } from '../../../core/json.ts';
import type { RpcError } from '../../../core/reply.ts';
import { withoutProtocolMeta } from '../../../protocol/mcp/vocabulary.ts';
import { URL_ELICITATION_REQUIRED } from '../../../protocol/mcp/capabilities.ts';
import type { ServerRequest } from '../wire/wire.ts';
import type { Owner } from './affinity.ts';

interface Elicitation {
  /** The owner of the instance that sent the session to the URL: no other instance can complete it. */
  readonly owner: string | undefined;
  /** The call in which the server sent the session there, while it runs. */
  call: ServerRequest['exchange'];
  unlink: (() => void) | undefined;
}

/** Keeps them by the id that the server gave, until they are completed or their session ends. */
export class UrlElicitations {
  private readonly elicitations = new Map<string, Map<ClientSession, Elicitation>>();
  private readonly sessions = new Map<ClientSession, Set<string>>();

  /** The server requests that a caller visits a URL. */
  requested({ params, session, exchange, onCallEnd }: ServerRequest, owner: Owner | undefined): void {
    const target = session ?? owner?.session;
    const elicitation: Elicitation = { owner: owner?.key, call: onCallEnd && exchange, unlink: undefined };
    if (!target || !this.add(params.elicitationId, target, elicitation)) return;
    elicitation.unlink = onCallEnd?.(() => (elicitation.call = elicitation.unlink = undefined));
  }

  /** A call failed, because its caller has to visit URLs first. */
  required({ code, data }: RpcError, session: ClientSession | undefined, owner: Owner | undefined): void {
    if (code !== URL_ELICITATION_REQUIRED || !session || !isObject(data) || !Array.isArray(data.elicitations)) return;
    for (const each of data.elicitations.slice(0, BOUNDS.urlElicitations))
      if (isObject(each))
        this.add(each.elicitationId, session, { owner: owner?.key, call: undefined, unlink: undefined });
  }

  /**
   * Notifies the sessions that were sent to the URL: on the stream of the call while it runs, else on the session's standing stream. If no
   * session was, only the session that owns the instance is notified.
   */
  completed(params: JsonObject, owner: Owner | undefined): void {
    if (this.notify(params, owner)) return;
    // the error reply that names the URL may have come just before, and is handled later in this turn
    setImmediate(() => {
      if (!this.notify(params, owner)) owner?.session?.standing.notify(...completion(params));
    });
  }

  private notify(params: JsonObject, owner: Owner | undefined): boolean {
    const { elicitationId } = params;
    if (typeof elicitationId !== 'string') return false;
    const sent = [...(this.elicitations.get(elicitationId) ?? [])].filter(([, { owner: key }]) => key === owner?.key);
    for (const [session, { call }] of sent) {
      this.forget(elicitationId, session);
      (call ?? session.standing).notify(...completion(params));
    }
    return sent.length > 0;
  }

  /** Returns whether it is remembered. */
  private add(id: JsonValue | undefined, session: ClientSession, elicitation: Elicitation): boolean {
    if (typeof id !== 'string' || id.length > BOUNDS.urlElicitationId || session.standing.signal.aborted) return false;
    this.forget(id, session);
    const ids = this.sessions.get(session) ?? this.remember(session);
    const [oldest] = ids;
    if (ids.size >= BOUNDS.urlElicitations && oldest !== undefined) this.forget(oldest, session);
    ids.add(id);
    const sent = this.elicitations.get(id) ?? new Map<ClientSession, Elicitation>();
    this.elicitations.set(id, sent.set(session, elicitation));
    return true;
  }

  private remember(session: ClientSession): Set<string> {
    const ids = new Set<string>();
    this.sessions.set(session, ids);
    session.standing.signal.onAbort(() => {
      for (const id of ids) this.forget(id, session);
      this.sessions.delete(session);
    });
    return ids;
  }

  private forget(id: string, session: ClientSession): void {
    const sent = this.elicitations.get(id);
    sent?.get(session)?.unlink?.();
    sent?.delete(session);
    if (sent?.size === 0) this.elicitations.delete(id);
    this.sessions.get(session)?.delete(id);
  }
}

function completion(params: JsonObject): [string, JsonObject] {
  return ['notifications/elicitation/complete', withoutProtocolMeta(params)];
}
