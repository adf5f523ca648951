// What the gateway learned of each server, stored between runs: its era, so that a legacy server is not probed at every start, and its traits.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era } from '../../core/call.ts';
import type { ServerKey } from '../../storage/server-key.ts';
import { Damaged, type StateDatabase } from '../../storage/state-database.ts';

/** `asks`: the server sends requests to its callers. `stateful`: it assigns session ids. Either makes `auto` isolate (design, Instances and affinity). */
export type Trait = 'asks' | 'stateful';

export interface LearnedTrait {
  readonly trait: Trait;
  readonly why: string;
  /** UTC ms. */
  readonly learnedAt: number;
}

/** The tables `eras` and `traits`. */
export class LearnedStore {
  private readonly db: StateDatabase;

  constructor(db: StateDatabase) {
    this.db = db;
  }

  /** The era to assume without a probe; undefined where none is stored, or it is too old. */
  era({ server, digest }: ServerKey): Era | undefined {
    return this.db.use((db) => {
      const row = db
        .prepare<[string, string], { era: string; learned_at: number }>(
          'SELECT era, learned_at FROM eras WHERE server = ? AND digest = ?',
        )
        .get(server, digest);
      if (!row) return undefined;
      const { era, learned_at: learnedAt } = row;
      if (era !== 'legacy' && era !== 'modern') throw new Damaged('an era in it is none');
      return era === 'legacy' && Date.now() - learnedAt > BOUNDS.legacyEra ? undefined : era;
    });
  }

  /** Stores what a successful probe found. */
  rememberEra({ server, digest }: ServerKey, found: { era: Era; version: string }): void {
    this.db.use((db) =>
      db
        .prepare<[string, string, string, string, number]>('INSERT OR REPLACE INTO eras VALUES (?, ?, ?, ?, ?)')
        .run(server, digest, found.era, found.version, Date.now()),
    );
  }

  forgetEra({ server }: ServerKey): void {
    this.db.use((db) => db.prepare<[string]>('DELETE FROM eras WHERE server = ?').run(server));
  }

  /** The traits that make sure that a server which asks its callers is not shared again. */
  traits({ server, digest }: ServerKey): LearnedTrait[] {
    return this.db.use((db) => {
      const found = db
        .prepare<[string, string], LearnedTrait>(
          'SELECT trait, why, learned_at AS learnedAt FROM traits WHERE server = ? AND digest = ?',
        )
        .all(server, digest);
      if (!found.every(isTrait)) throw new Damaged('a trait in it is none');
      return found;
    });
  }

  rememberTrait({ server, digest }: ServerKey, { trait, why, learnedAt }: LearnedTrait): void {
    this.db.use((db) =>
      db
        .prepare<[string, string, string, string, number]>('INSERT OR REPLACE INTO traits VALUES (?, ?, ?, ?, ?)')
        .run(server, trait, digest, why, learnedAt),
    );
  }
}

function isTrait({ trait, learnedAt }: { readonly trait: string; readonly learnedAt: unknown }): boolean {
  return (trait === 'asks' || trait === 'stateful') && typeof learnedAt === 'number';
}
