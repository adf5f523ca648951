// How each server was seen to behave: stored between runs, so that a server which asks its callers is not shared again.
import type { ServerKey } from '../../../storage/server-key.ts';
import { Damaged, type StateDatabase } from '../../../storage/state-database.ts';

/** `asks`: the server sends requests to its callers. `stateful`: it assigns session ids. Either makes `auto` isolate (design, Instances and affinity). */
export type Trait = 'asks' | 'stateful';

export interface LearnedTrait {
  readonly trait: Trait;
  readonly why: string;
  /** UTC ms. */
  readonly learnedAt: number;
}

/** The table `traits`. */
export class TraitStore {
  private readonly db: StateDatabase;

  constructor(db: StateDatabase) {
    this.db = db;
  }

  recall({ server, digest }: ServerKey): LearnedTrait[] {
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

  remember({ server, digest }: ServerKey, { trait, why, learnedAt }: LearnedTrait): void {
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
