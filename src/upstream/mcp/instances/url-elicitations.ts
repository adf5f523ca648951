// The pages that a legacy server sends its callers to: who hears that one is done with (2025-11-25 client/elicitation, Completion Notifications).
import type { ClientSession, Exchange } from '../../../core/exchange.ts';
import { isObject, type JsonObject, type JsonValue } from '../../../core/json.ts';
import type { RpcError } from '../../../core/reply.ts';
import { withoutProtocolMeta } from '../../../protocol/mcp/meta.ts';
import { URL_ELICITATION_REQUIRED } from '../../../protocol/mcp/questions.ts';
import type { AskedQuestion } from '../wire/wire.ts';
import type { Owner } from './affinity.ts';

/** Most pages of one session that are remembered, the oldest are forgotten first; and the longest id of one. */
const MAX_PAGES = 32;
const MAX_ID = 256;

interface Page {
  /** Whose instance sent the session there: no other can say that it is done. */
  readonly owner: string | undefined;
  /** The call that it was sent there in, for as long as that runs. */
  call: Exchange | undefined;
  unlink: (() => void) | undefined;
}

/** Remembers them by the id that the server gave; what a session was sent to is forgotten with it. */
export class UrlElicitations {
  private readonly pages = new Map<string, Map<ClientSession, Page>>();
  private readonly sessions = new Map<ClientSession, Set<string>>();

  /** A call is asked to send its caller to a page. */
  asked({ params, session, exchange, onCallEnd }: AskedQuestion, owner: Owner | undefined): void {
    const whose = session ?? owner?.session;
    const page: Page = { owner: owner?.key, call: onCallEnd && exchange, unlink: undefined };
    if (!whose || !this.add(params.elicitationId, whose, page)) return;
    page.unlink = onCallEnd?.(() => (page.call = page.unlink = undefined));
  }

  /** A call failed, because its caller has to go to pages first. */
  required({ code, data }: RpcError, session: ClientSession | undefined, owner: Owner | undefined): void {
    if (code !== URL_ELICITATION_REQUIRED || !session || !isObject(data) || !Array.isArray(data.elicitations)) return;
    for (const each of data.elicitations.slice(0, MAX_PAGES))
      if (isObject(each))
        this.add(each.elicitationId, session, { owner: owner?.key, call: undefined, unlink: undefined });
  }

  /**
   * Tells whoever was sent to a page: on the stream of the call while it runs, else wherever its session hears of what belongs to no call.
   * One that nobody was sent to is passed on by a session's own instance alone.
   */
  done(params: JsonObject, owner: Owner | undefined): void {
    if (this.notify(params, owner)) return;
    // an error that came with it is only looked at in a moment
    setImmediate(() => {
      if (!this.notify(params, owner)) owner?.session?.standing.notify(...completion(params));
    });
  }

  private notify(params: JsonObject, owner: Owner | undefined): boolean {
    const { elicitationId } = params;
    if (typeof elicitationId !== 'string') return false;
    const sent = [...(this.pages.get(elicitationId) ?? [])].filter(([, page]) => page.owner === owner?.key);
    for (const [session, page] of sent) {
      this.forget(elicitationId, session);
      (page.call ?? session.standing).notify(...completion(params));
    }
    return sent.length > 0;
  }

  /** Returns whether it is remembered. */
  private add(id: JsonValue | undefined, session: ClientSession, page: Page): boolean {
    if (typeof id !== 'string' || id.length > MAX_ID || session.standing.signal.aborted) return false;
    this.forget(id, session);
    const ids = this.sessions.get(session) ?? this.remember(session);
    const [oldest] = ids;
    if (ids.size >= MAX_PAGES && oldest !== undefined) this.forget(oldest, session);
    ids.add(id);
    const sent = this.pages.get(id) ?? new Map<ClientSession, Page>();
    this.pages.set(id, sent.set(session, page));
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
    const sent = this.pages.get(id);
    sent?.get(session)?.unlink?.();
    sent?.delete(session);
    if (sent?.size === 0) this.pages.delete(id);
    this.sessions.get(session)?.delete(id);
  }
}

function completion(params: JsonObject): [string, JsonObject] {
  return ['notifications/elicitation/complete', withoutProtocolMeta(params)];
}
