// What the gateway learned of each server, stored between runs: the eras that it speaks, and its traits.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era } from '../../core/call.ts';
import type { Database } from '../../storage/database.ts';
import type { EraKey, ServerKey } from '../../storage/server-key.ts';
import { Damaged, type StateDatabase } from '../../storage/state-database.ts';

/** `asks`: the server sends requests to its callers. `stateful`: it assigns session ids. Either makes `auto` isolate (design, Instances and affinity). */
export type Trait = 'asks' | 'stateful';

export interface LearnedTrait {
  readonly trait: Trait;
  readonly why: string;
  /** UTC ms. */
  readonly learnedAt: number;
}

/** Whether a server speaks an era. */
export interface LearnedEra {
  readonly era: Era;
  /** Why the server does not speak it; null if it does. */
  readonly refusal: string | null;
  /** When the gateway last opened a connection of that era for a caller, in UTC ms. */
  readonly usedAt: number;
}

interface EraRow extends Omit<LearnedEra, 'era'> {
  readonly era: string;
  readonly learnedAt: number;
}

type KnownEra = EraRow & LearnedEra;

/** The tables `spoken`, which saves a legacy server the probe at every start, and `traits`. */
export class LearnedStore {
  private readonly db: StateDatabase;

  constructor(db: StateDatabase) {
    this.db = db;
  }

  /** The eras of which it is known whether the server speaks them, the last used one first. Refusals and the verdict that a server is legacy age: it may be upgraded. */
  eras({ server, digest }: ServerKey): LearnedEra[] {
    return this.db.use((db) => {
      const rows = db
        .prepare<[string, string], EraRow>(
          'SELECT era, refusal, learned_at AS learnedAt, used_at AS usedAt FROM spoken WHERE server = ? AND digest = ? ORDER BY used_at DESC',
        )
        .all(server, digest);
      const known = rows.filter(isEra);
      if (known.length < rows.length) throw new Damaged('an era in it is none');
      const spoken = known.filter(({ refusal }) => refusal === null);
      const isFresh = ({ learnedAt }: KnownEra) => Date.now() - learnedAt <= BOUNDS.legacyEra;
      // that a modern server speaks the legacy era too is no reason to probe it again
      const lasts = ({ era, refusal }: KnownEra) => refusal === null && (era === 'modern' || spoken.length > 1);
      return known.filter((row) => lasts(row) || isFresh(row));
    });
  }

  /** Stores that the server speaks an era, or why it does not. */
  rememberEra({ server, digest, era }: EraKey, refusal: string | null = null): void {
    const now = Date.now();
    this.db.use((db) => {
      forgetOtherEntries(db, { server, digest });
      db.prepare<[string, Era, string, string | null, number, number]>(
        'INSERT OR REPLACE INTO spoken VALUES (?, ?, ?, ?, ?, ?)',
      ).run(server, era, digest, refusal, now, now);
    });
  }

  /** An era of the server is used now. */
  usedEra({ server, digest, era }: EraKey): void {
    this.db.use((db) =>
      db
        .prepare<[number, string, Era, string]>(
          'UPDATE spoken SET used_at = ? WHERE server = ? AND era = ? AND digest = ?',
        )
        .run(Date.now(), server, era, digest),
    );
  }

  forgetEras({ server }: ServerKey): void {
    this.db.use((db) => db.prepare<[string]>('DELETE FROM spoken WHERE server = ?').run(server));
  }

  /** The traits that make sure that a server which asks its callers is not shared again. */
  traits({ server, digest, era }: EraKey): LearnedTrait[] {
    return this.db.use((db) => {
      const found = db
        .prepare<[string, Era, string], LearnedTrait>(
          'SELECT trait, why, learned_at AS learnedAt FROM traits WHERE server = ? AND era = ? AND digest = ?',
        )
        .all(server, era, digest);
      if (!found.every(isTrait)) throw new Damaged('a trait in it is none');
      return found;
    });
  }

  rememberTrait({ server, digest, era }: EraKey, { trait, why, learnedAt }: LearnedTrait): void {
    this.db.use((db) =>
      db
        .prepare<[string, Era, string, string, string, number]>(
          'INSERT OR REPLACE INTO traits VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(server, era, trait, digest, why, learnedAt),
    );
  }
}

/** What was learned under another command or URL holds no more. */
function forgetOtherEntries(db: Database, { server, digest }: ServerKey): void {
  db.prepare<[string, string]>('DELETE FROM spoken WHERE server = ? AND digest <> ?').run(server, digest);
}

function isEra(row: EraRow): row is KnownEra {
  return row.era === 'legacy' || row.era === 'modern';
}

function isTrait({ trait, learnedAt }: { readonly trait: string; readonly learnedAt: unknown }): boolean {
  return (trait === 'asks' || trait === 'stateful') && typeof learnedAt === 'number';
}
