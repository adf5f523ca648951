// A name given to a tool or prompt, as it is kept on disk.
import { OFFER_KINDS, type OfferKind } from '../core/call.ts';
import { isObject } from '../core/json.ts';

export interface NameRow {
  readonly kind: OfferKind;
  readonly server: string;
  readonly original: string;
  readonly exposed: string;
}

/** Checks a row that comes from a disk. Throws Error where it is none. */
export function readNameRow(row: unknown): NameRow {
  const { kind, server, original, exposed } = isObject(row) ? row : {};
  const known = OFFER_KINDS.find((one) => one === kind);
  if (known === undefined || typeof server !== 'string' || typeof original !== 'string' || typeof exposed !== 'string')
    throw new Error('a name is not one that was ever given');
  return { kind: known, server, original, exposed };
}
