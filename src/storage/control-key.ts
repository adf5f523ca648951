// The key of the control socket: each owner of a state directory makes a new one; the command line reads it.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replacePrivateText } from './private-file.ts';

const KEY_BYTES = 32;

/** The path of the key of a state directory. */
export function controlKeyFile(directory: string): string {
  return join(directory, 'control.key');
}

/**
 * Makes the key of a new owner, before its socket listens. Each owner has its own key, so that an earlier one that became known is useless,
 * and a restart replaces a lost or damaged file.
 */
export function makeControlKey(directory: string): Buffer {
  const key = randomBytes(KEY_BYTES);
  replacePrivateText(controlKeyFile(directory), key.toString('base64url'));
  return key;
}

/** Reads the key of the owner; undefined where it is absent, damaged, or this user may not read it. */
export function readControlKey(directory: string): Buffer | undefined {
  try {
    const key = Buffer.from(readFileSync(controlKeyFile(directory), 'utf8').trim(), 'base64url');
    return key.length === KEY_BYTES ? key : undefined;
  } catch {
    // the owner refuses a request without the key, and says what is missing
    return undefined;
  }
}
