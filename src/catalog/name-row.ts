// The name given to a tool or prompt, as files and the database keep it.
import { OFFER_KINDS, type OfferKind } from '../core/call.ts';
import { isObject } from '../core/json.ts';

export interface NameRow {
  readonly kind: OfferKind;
  readonly server: string;
  readonly original: string;
  readonly exposed: string;
}

/** Checks a row that was read from disk. Throws Error where it is not a NameRow. */
export function readNameRow(row: unknown): NameRow {
  const { kind, server, original, exposed } = isObject(row) ? row : {};
  const known = OFFER_KINDS.find((one) => one === kind);
  if (known === undefined || typeof server !== 'string' || typeof original !== 'string' || typeof exposed !== 'string')
    throw new Error('a name is not one that was ever given');
  return { kind: known, server, original, exposed };
}
