// The key of the control socket: made anew by each owner of a state directory, read by all who may speak to it.
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY_BYTES = 32;

/** Where the key of a state directory is. */
export function controlKeyFile(directory: string): string {
  return join(directory, 'control.key');
}

/**
 * Makes the key of a new owner, before its socket listens. A key for each owner: what was read or shown of an earlier one is worth nothing,
 * and a lost or damaged file is mended by a restart.
 */
export function makeControlKey(directory: string): Buffer {
  const key = randomBytes(KEY_BYTES);
  const file = controlKeyFile(directory);
  const partial = `${file}.partial`;
  rmSync(partial, { force: true }); // one that a killed owner left may have another mode
  writeFileSync(partial, `${key.toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(partial, file);
  return key;
}

/** Reads the key of the owner; undefined where there is none that is whole and may be read. */
export function readControlKey(directory: string): Buffer | undefined {
  try {
    const key = Buffer.from(readFileSync(controlKeyFile(directory), 'utf8').trim(), 'base64url');
    return key.length === KEY_BYTES ? key : undefined;
  } catch {
    // Absent and unreadable mean the same: the owner refuses who has no key, and says what is missing.
    return undefined;
  }
}
