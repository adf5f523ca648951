// The schemas of the databases as append-only migrations, and how a file is migrated from its version to the newest.
import type { Database } from './database.ts';
import { replacePrivateFile } from './private-file.ts';
import { newerState, StateError } from './state-error.ts';

/** SQL that takes a database one version further. A published step is never changed, only followed by another. */
export type Migration = string;

/** `state.db`: what the gateway can learn again from the servers, and the names given to tools and prompts. */
export const STATE_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE names (
    kind TEXT NOT NULL, server TEXT NOT NULL, original TEXT NOT NULL, exposed TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (kind, server, original),
    UNIQUE (kind, exposed)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE offers (
    server TEXT PRIMARY KEY, digest TEXT NOT NULL, fetched_at INTEGER NOT NULL, body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE eras (
    server TEXT PRIMARY KEY, digest TEXT NOT NULL, era TEXT NOT NULL, version TEXT NOT NULL, learned_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE traits (
    server TEXT NOT NULL, trait TEXT NOT NULL, digest TEXT NOT NULL, why TEXT NOT NULL, learned_at INTEGER NOT NULL,
    PRIMARY KEY (server, trait)
  ) STRICT, WITHOUT ROWID;
  `,
  // what is known of a server is known of it in one era
  `
  CREATE TABLE spoken (
    server TEXT NOT NULL, era TEXT NOT NULL, digest TEXT NOT NULL, refusal TEXT, learned_at INTEGER NOT NULL, used_at INTEGER NOT NULL,
    PRIMARY KEY (server, era)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO spoken SELECT server, era, digest, NULL, learned_at, learned_at FROM eras;
  CREATE TABLE era_offers (
    server TEXT NOT NULL, era TEXT NOT NULL, digest TEXT NOT NULL, fetched_at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (server, era)
  ) STRICT;
  INSERT INTO era_offers
    SELECT server, coalesce((SELECT era FROM eras WHERE eras.server = offers.server), 'legacy'), digest, fetched_at, body FROM offers;
  DROP TABLE offers;
  DROP TABLE eras;
  ALTER TABLE era_offers RENAME TO offers;
  CREATE TABLE era_traits (
    server TEXT NOT NULL, era TEXT NOT NULL, trait TEXT NOT NULL, digest TEXT NOT NULL, why TEXT NOT NULL, learned_at INTEGER NOT NULL,
    PRIMARY KEY (server, era, trait)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO era_traits SELECT server, 'legacy', trait, digest, why, learned_at FROM traits;
  DROP TABLE traits;
  ALTER TABLE era_traits RENAME TO traits;
  `,
];

/** Refuses a newer file, backs up an older one, and applies the missing migrations, each in its own transaction. */
export function migrate(db: Database, file: string, steps: readonly Migration[]): void {
  const found = versionOf(db);
  refuseNewer(found, file, steps);
  if (found === steps.length) return;
  if (found > 0) replacePrivateFile(`${file}.v${found}.bak`, (partial) => db.prepare('VACUUM INTO ?').run(partial));
  steps.slice(found).forEach((sql, index) => {
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${found + index + 1}`);
    }).immediate();
  });
}

/** Checks that a file which is only read has the newest version. Throws StateError. */
export function requireCurrent(db: Database, file: string, steps: readonly Migration[]): void {
  const found = versionOf(db);
  refuseNewer(found, file, steps);
  if (found === steps.length) return;
  throw new StateError(
    `${file} has version ${found}, this program reads version ${steps.length}. Start the gateway once: it backs the file up and migrates it.`,
  );
}

function versionOf(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}

function refuseNewer(found: number, file: string, steps: readonly Migration[]): void {
  if (found > steps.length) throw newerState(file, found, steps.length);
}
