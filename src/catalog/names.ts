// The names under which tools and prompts are offered: `alias__name`, safe for every client, and never changed once given.
import { createHash } from 'node:crypto';
import type { OfferKind } from '../core/call.ts';
import { plainName } from '../core/name-characters.ts';
import type { NameRow } from './name-row.ts';

/** With the client key `gw` this fits the limits of Claude, Gemini, Cursor and VS Code. */
export const MAX_NAME = 54;
const HASH_LENGTH = 6;
const SEPARATOR = '__';

/** Names that are kept of one kind and server: twice as many as it can offer at once (upstream/mcp/read-offer.ts). */
export const MAX_KEPT = 20_000;

export interface NameStore {
  names(): NameRow[];
  /** Keeps what was given and forgets what is gone, both or neither. */
  saveNames(change: NameChange): void;
}

/** What became of the names; `all` are those that are left, the oldest of each server first. */
export interface NameChange {
  readonly given: readonly NameRow[];
  readonly gone: readonly NameRow[];
  readonly all: Iterable<NameRow>;
}

/** What is to be named. */
export interface Nameable {
  readonly kind: OfferKind;
  readonly server: string;
  readonly alias: string;
  readonly original: string;
}

/**
 * Every name ever given, so that adding a server never renames another's tool. Only a server that goes on inventing names loses some:
 * beyond `MAX_KEPT`, those that were given first of what it no longer offers. Nobody else's name changes by that.
 */
export class NameBook {
  private readonly store: NameStore;
  /** By kind and server, then by original name; the oldest first. */
  private readonly given = new Map<string, Map<string, string>>();
  private readonly owners = new Map<string, string>();

  constructor(store: NameStore) {
    this.store = store;
    for (const row of store.names()) this.keep(row);
  }

  /** The names of these things, in their order; new ones are kept before they are shown to anyone. */
  assign(things: readonly Nameable[]): string[] {
    const fresh: NameRow[] = [];
    const names = things.map((thing) => {
      const kept = this.given.get(shelfOf(thing))?.get(thing.original);
      if (kept !== undefined && isNameOf(thing, kept)) return kept;
      const row = { kind: thing.kind, server: thing.server, original: thing.original, exposed: this.free(thing) };
      this.keep(row);
      fresh.push(row);
      return row.exposed;
    });
    if (fresh.length === 0) return names;
    const gone = this.forget(fresh, things);
    this.store.saveNames({ given: fresh, gone, all: this.all() });
    return names;
  }

  private *all(): Generator<NameRow> {
    for (const [key, shelf] of this.given) {
      const { kind, server } = shelfAt(key);
      for (const [original, exposed] of shelf) yield { kind, server, original, exposed };
    }
  }

  /** Makes room on every shelf that has grown too long: drops the oldest names of what is not offered now. */
  private forget(fresh: readonly NameRow[], offered: readonly Nameable[]): NameRow[] {
    const gone: NameRow[] = [];
    const last = new Map(fresh.map((row) => [shelfOf(row), row]));
    for (const [key, { kind, server }] of last) {
      const shelf = this.given.get(key);
      if (!shelf || shelf.size <= MAX_KEPT) continue;
      const needed = new Set(offered.filter((thing) => shelfOf(thing) === key).map((thing) => thing.original));
      for (const [original, exposed] of shelf) {
        if (shelf.size <= MAX_KEPT) break;
        if (needed.has(original)) continue;
        shelf.delete(original);
        this.owners.delete(ownerKey(kind, exposed));
        gone.push({ kind, server, original, exposed });
      }
    }
    return gone;
  }

  private keep(row: NameRow): void {
    const shelf = this.given.get(shelfOf(row)) ?? new Map<string, string>();
    const before = shelf.get(row.original);
    if (before !== undefined) this.owners.delete(ownerKey(row.kind, before));
    shelf.set(row.original, row.exposed);
    this.given.set(shelfOf(row), shelf);
    this.owners.set(ownerKey(row.kind, row.exposed), keyOf(row));
  }

  /** The plain name if it is short enough and nobody's, else one with a hash. */
  private free(thing: Nameable): string {
    const plain = wholeName(thing);
    if (plain.length <= MAX_NAME && !this.taken(thing, plain)) return plain;
    for (let round = 0; ; round++) {
      const name = `${beforeHash(plain)}_${shortHash(`${thing.server}\n${thing.original}\n${round}`)}`;
      if (!this.taken(thing, name)) return name;
    }
  }

  private taken(thing: Nameable, name: string): boolean {
    const owner = this.owners.get(ownerKey(thing.kind, name));
    return owner !== undefined && owner !== keyOf(thing);
  }
}

/** What a name would stand for at the server of this alias; undefined where the name is not one of that server. */
export function originalBehind(alias: string, exposed: string): string | undefined {
  const before = stem(alias);
  return exposed.startsWith(before) && exposed.length > before.length ? exposed.slice(before.length) : undefined;
}

function wholeName(thing: Nameable): string {
  return stem(thing.alias) + plainName(thing.original);
}

/** As much of a plain name as stands in front of a hash. */
function beforeHash(plain: string): string {
  return plain.slice(0, MAX_NAME - HASH_LENGTH - 1);
}

/** Whether a kept name is one that the thing would get under its present alias. */
function isNameOf(thing: Nameable, kept: string): boolean {
  const plain = wholeName(thing);
  return kept === plain || kept.slice(0, -HASH_LENGTH - 1) === beforeHash(plain);
}

function keyOf(thing: Pick<NameRow, 'kind' | 'server' | 'original'>): string {
  return `${thing.kind}\n${thing.server}\n${thing.original}`;
}

function shelfOf(thing: Pick<NameRow, 'kind' | 'server'>): string {
  return `${thing.kind}\n${thing.server}`;
}

/** What `shelfOf` was made of: no name of a server has a line break. */
function shelfAt(key: string): Pick<NameRow, 'kind' | 'server'> {
  const [kind, server = ''] = key.split('\n');
  return { kind: kind as OfferKind, server };
}

/** Names that differ in letter case only are one name to some clients. */
function ownerKey(kind: OfferKind, exposed: string): string {
  return `${kind}\n${exposed.toLowerCase()}`;
}

function stem(alias: string): string {
  return plainName(alias).slice(0, MAX_NAME - HASH_LENGTH - SEPARATOR.length - 1) + SEPARATOR;
}

/** Six characters of base 32: enough to tell a thousand names apart, and the same on every machine. */
function shortHash(text: string): string {
  const bytes = createHash('sha256').update(text).digest();
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return Array.from(bytes.subarray(0, HASH_LENGTH), (byte) => alphabet[byte % 32] ?? '').join('');
}
