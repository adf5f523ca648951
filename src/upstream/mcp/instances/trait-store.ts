// What was learned of how a server behaves: kept between runs, so that nobody's question meets a shared instance twice.
import { Damaged, type StateDatabase } from '../../../storage/state-database.ts';

/** `asks`: it puts questions to its callers. `stateful`: it assigns session ids. Either makes `auto` isolate (design, Instances and affinity). */
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

  /** What is known of this command or URL. */
  recall(server: string, digest: string): LearnedTrait[] {
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

  remember(server: string, digest: string, { trait, why, learnedAt }: LearnedTrait): void {
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
