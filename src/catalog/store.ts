// What the gateway remembers of its servers between runs: their last offers, and the names given to what they offer.
import type { Database } from '../storage/database.ts';
import type { OfferKind } from '../core/call.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';
import type { ServerOffer } from './offer.ts';

export interface NameRow {
  readonly kind: OfferKind;
  readonly server: string;
  readonly original: string;
  readonly exposed: string;
}

/** The last offer of a server, and when it was read (UTC ms). */
export interface StoredOffer {
  readonly fetchedAt: number;
  readonly offer: ServerOffer;
}

/** What the gateway wrote itself is not bounded again; numbers stay as the server wrote them. */
const OWN = { depth: Infinity, uniqueKeys: false };

/** The tables `names` and `offers`. */
export class CatalogStore {
  private readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  names(): NameRow[] {
    return this.db.prepare<[], NameRow>('SELECT kind, server, original, exposed FROM names').all();
  }

  saveNames(given: readonly NameRow[], gone: readonly NameRow[]): void {
    const insert = this.db.prepare<NameRow>(
      'INSERT OR REPLACE INTO names VALUES (@kind, @server, @original, @exposed)',
    );
    const remove = this.db.prepare<NameRow>(
      'DELETE FROM names WHERE kind = @kind AND server = @server AND original = @original',
    );
    this.db.transaction(() => {
      for (const row of gone) remove.run(row);
      for (const row of given) insert.run(row);
    })();
  }

  /** The offer last read from a server of this configuration; one of another command or URL is not it. */
  offer(server: string, digest: string): StoredOffer | undefined {
    const row = this.db
      .prepare<[string, string], { fetched_at: number; body: string }>(
        'SELECT fetched_at, body FROM offers WHERE server = ? AND digest = ?',
      )
      .get(server, digest);
    return row && { fetchedAt: row.fetched_at, offer: parseStrict(row.body, OWN) as unknown as ServerOffer };
  }

  saveOffer(server: string, digest: string, stored: StoredOffer): void {
    this.db
      .prepare<[string, string, number, string]>('INSERT OR REPLACE INTO offers VALUES (?, ?, ?, ?)')
      .run(server, digest, stored.fetchedAt, JSON.stringify(stored.offer));
  }
}
