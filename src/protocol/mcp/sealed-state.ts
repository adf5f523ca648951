// Seals state that a client carries between two requests: encrypted, authenticated, and bound to its purpose.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** A key of 256 bits, and its short name, which is a part of what it sealed. */
export interface SealingKey {
  readonly id: string;
  readonly key: Buffer;
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts a text; only the same `binding` opens it again. */
export function seal(text: string, binding: string, { id, key }: SealingKey): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(Buffer.from(`${id}\n${binding}`));
  const body = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${id}.${body.toString('base64url')}`;
}

/** The sealed text; undefined for anything else: changed, cut, with another binding, or sealed with a key that no longer exists. */
export function unseal(sealed: string, binding: string, keys: readonly SealingKey[]): string | undefined {
  const dot = sealed.indexOf('.');
  const found = keys.find(({ id }) => id === sealed.slice(0, dot));
  const encoded = sealed.slice(dot + 1);
  if (!found || !/^[A-Za-z0-9_-]+$/.test(encoded)) return undefined;
  const body = Buffer.from(encoded, 'base64url');
  // refuses a second form of the same text: base64url leaves bits of the last character unused
  if (body.length < NONCE_BYTES + TAG_BYTES || body.toString('base64url') !== encoded) return undefined;
  const decipher = createDecipheriv(CIPHER, found.key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(`${found.id}\n${binding}`));
  decipher.setAuthTag(body.subarray(-TAG_BYTES));
  try {
    return decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined; // the tag does not match: it was not sealed here, or with another binding
  }
}
