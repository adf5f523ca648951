// The era that each server was found to speak: stored between runs, so that a legacy server is not probed at every start.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { Era } from '../../../core/call.ts';
import type { ServerKey } from '../../../storage/server-key.ts';
import { Damaged, type StateDatabase } from '../../../storage/state-database.ts';

/** The table `eras`. */
export class EraStore {
  private readonly db: StateDatabase;

  constructor(db: StateDatabase) {
    this.db = db;
  }

  /** The era to assume without a probe; undefined where none is stored, or it is too old. */
  recall({ server, digest }: ServerKey): Era | undefined {
    const known = this.db.use((db) => {
      const row = db
        .prepare<[string, string], { era: string; learned_at: number }>(
          'SELECT era, learned_at FROM eras WHERE server = ? AND digest = ?',
        )
        .get(server, digest);
      return row && { era: readEra(row.era), learnedAt: row.learned_at };
    });
    if (!known || (known.era === 'legacy' && Date.now() - known.learnedAt > BOUNDS.legacyEra)) return undefined;
    return known.era;
  }

  /** Stores what a successful probe found. */
  remember({ server, digest }: ServerKey, found: { era: Era; version: string }): void {
    this.db.use((db) =>
      db
        .prepare<[string, string, string, string, number]>('INSERT OR REPLACE INTO eras VALUES (?, ?, ?, ?, ?)')
        .run(server, digest, found.era, found.version, Date.now()),
    );
  }

  forget({ server }: ServerKey): void {
    this.db.use((db) => db.prepare<[string]>('DELETE FROM eras WHERE server = ?').run(server));
  }
}

function readEra(era: string): Era {
  if (era !== 'legacy' && era !== 'modern') throw new Damaged('an era in it is none');
  return era;
}
