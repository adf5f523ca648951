// Opens and closes everything that the gateway keeps on disk.
import { join } from 'node:path';
import { AuditLog } from '../audit/audit-log.ts';
import { CatalogStore } from '../catalog/store.ts';
import type { JsonObject } from '../core/json.ts';
import { Keyring } from '../storage/keyring.ts';
import { StateDatabase } from '../storage/state-database.ts';
import { openStateDirectory, type StateDirectory } from '../storage/state-directory.ts';
import type { GatewayOptions } from './compose.ts';
import { EventLog } from './event-log.ts';

export interface Storage {
  readonly directory: StateDirectory;
  readonly state: StateDatabase;
  readonly catalog: CatalogStore;
  readonly audit: AuditLog;
  readonly events: EventLog;
  readonly keyring: Keyring;
}

/**
 * Takes the state directory, and opens the audit log and the database. Reports damaged files that it repairs: in the program's log at once, in
 * the audit log as soon as that is open. Throws StateError; then nothing stays open.
 */
export function openStorage(options: Pick<GatewayOptions, 'stateDirectory' | 'logger' | 'watcher'>): Storage {
  const { logger } = options;
  const directory = openStateDirectory(options.stateDirectory);
  let events: EventLog | undefined;
  const unrecorded: (readonly [string, JsonObject])[] = [];
  const report = (event: string, detail: JsonObject, ...sentences: string[]) => {
    logger.warn(sentences.join(' '));
    if (events) void events.attempt(event, detail);
    else unrecorded.push([event, detail]);
  };
  const { repaired } = directory;
  if (repaired !== undefined) report('lock_repaired', { what: repaired }, repaired);
  let state: StateDatabase | undefined;
  try {
    state = new StateDatabase(join(directory.path, 'state.db'), ({ file, keptAs, reason }) =>
      report(
        'state_set_aside',
        { file, keptAs, reason },
        `${file} was damaged (${reason}) and is kept as ${keptAs}.`,
        'What it held is learned again from the servers; tools keep their names.',
      ),
    );
    const catalog = new CatalogStore(state, directory.path, ({ file, reason }) =>
      report(
        'names_copied_anew',
        { file, reason },
        `${file} was damaged (${reason}); it is written anew from state.db.`,
      ),
    );
    const keyring = new Keyring(directory.path);
    const audit = AuditLog.open({
      folder: join(directory.path, 'audit'),
      owner: directory,
      onHealth: ({ writable, error }) => {
        if (writable) logger.info('the audit log can be written again');
        else logger.error({ reason: error }, 'the audit log cannot be written; calls are refused');
      },
    });
    events = new EventLog(audit, options);
    for (const [event, detail] of unrecorded) void events.attempt(event, detail);
    return { directory, state, catalog, audit, events, keyring };
  } catch (error) {
    state?.close();
    directory.release();
    throw error;
  }
}

/** Closes what `openStorage` opened. Releases the state directory last. */
export function closeStorage({ directory, state, audit }: Storage): void {
  audit.close();
  state.close();
  directory.release();
}
