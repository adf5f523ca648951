// The keys with which the gateway seals what clients carry: made on first use, kept in a private file, replaced after a time.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import { replacePrivateText } from './private-file.ts';
import { StateError } from './state-error.ts';

/** A key of 256 bits. */
export interface Key {
  readonly id: string;
  readonly key: Buffer;
  /** UTC ms. */
  readonly madeAt: number;
}

/** The keys, newest first. */
export class Keyring {
  private readonly file: string;
  private keys: readonly Key[];

  /** Reads or makes the file `keys.json` of a state directory. Throws StateError where it cannot be read. */
  constructor(directory: string) {
    this.file = join(directory, 'keys.json');
    this.keys = existsSync(this.file) ? read(this.file) : [];
    this.renew();
  }

  /** The key to seal with; a new one where the last is older than `sealingKeyUse`. */
  get newest(): Key {
    this.renew();
    return this.keys[0] ?? this.add();
  }

  /** Every key that can open what it sealed. */
  get all(): readonly Key[] {
    return this.keys;
  }

  private renew(): void {
    const [newest] = this.keys;
    if (!newest || Date.now() - newest.madeAt > BOUNDS.sealingKeyUse) this.add();
  }

  private add(): Key {
    const made = { id: randomBytes(6).toString('base64url'), key: randomBytes(32), madeAt: Date.now() };
    const keys = [made, ...this.keys].slice(0, BOUNDS.sealingKeys);
    const text = JSON.stringify({ v: 1, keys: keys.map((key) => ({ ...key, key: key.key.toString('base64url') })) });
    replacePrivateText(this.file, text);
    this.keys = keys;
    return made;
  }
}

function read(file: string): Key[] {
  try {
    if (process.platform !== 'win32') chmodSync(file, 0o600);
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isObject(found) || found.v !== 1 || !Array.isArray(found.keys))
      throw new Error('it is not a key file of this version');
    return found.keys.map(readKey);
  } catch (error) {
    throw new StateError(
      `Cannot read ${file}: ${reasonOf(error)}. Remove it: a new one is made, and calls that wait for an answer begin anew.`,
      { cause: error },
    );
  }
}

function readKey(value: unknown): Key {
  if (!isObject(value)) throw new Error('a key is not an object');
  const { id, key, madeAt } = value;
  const bytes = Buffer.from(typeof key === 'string' ? key : '', 'base64url');
  if (typeof id !== 'string' || typeof madeAt !== 'number' || bytes.length !== 32) throw new Error('a key is damaged');
  return { id, key: bytes, madeAt };
}
