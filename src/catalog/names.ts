// The names of tools and prompts in the merged catalog, `alias__name`, and who shows a URI that several servers offer; never changed once given.
import { createHash } from 'node:crypto';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { OfferKind } from '../core/call.ts';
import { plainName } from '../core/json.ts';
import { namesServer, uriAt } from './server-uris.ts';
import type { NameRow } from './store.ts';

const HASH_LENGTH = 6;
const SEPARATOR = '__';

export interface NameStore {
  names(): NameRow[];
  /** Stores new names and removes forgotten ones, both or neither. */
  saveNames(change: NameChange): void;
}

export interface NameChange {
  readonly given: readonly NameRow[];
  readonly forgotten: readonly NameRow[];
  /** All names after the change, the oldest of each server first. */
  readonly all: Iterable<NameRow>;
}

/** A thing that needs a name. */
export interface Nameable {
  readonly kind: OfferKind;
  readonly server: string;
  readonly alias: string;
  readonly original: string;
}

/** The URIs of some resources or templates, in their order. */
export interface UriChoice {
  readonly exposed: readonly string[];
  /** What the name book does not have yet: it is for `keepUris` once a client was shown the URIs. */
  readonly fresh: readonly NameRow[];
}

/**
 * Keeps every name that was given, so that adding a server never renames the tool of another. A server that offers ever new names loses
 * some beyond `keptNames`: the oldest names of what it no longer offers. No other server's name changes by that.
 */
export class NameBook {
  private readonly store: NameStore;
  /** The names by kind and server, then by original name, the oldest first. */
  private readonly given = new Map<string, Map<string, string>>();
  /** The key of the thing that has a name, by name. */
  private readonly owners = new Map<string, string>();

  constructor(store: NameStore) {
    this.store = store;
    for (const row of store.names()) this.keep(row);
  }

  /** The names of these tools and prompts, in their order. Stores new names before it returns them. */
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
    if (fresh.length > 0) this.save(fresh, things);
    return names;
  }

  /**
   * Chooses the URIs of these resources, or of these templates. Of several servers with the same URI the one that `shown` names shows it
   * unchanged, else the first one; the others show one that names their server. What `keepUris` kept stays as it is.
   */
  chooseUris(things: readonly Nameable[], shown: (uri: string) => string | undefined): UriChoice {
    const firsts = new Map<string, string>();
    const several = new Set<string>();
    for (const { server, original } of things) {
      if (firsts.has(original)) several.add(original);
      if (!firsts.has(original) || shown(original) === server) firsts.set(original, server);
    }
    const fresh: NameRow[] = [];
    const exposed = things.map((thing) => {
      const { kind, server, original } = thing;
      // such a URI of a server, which may be a gateway too, is not one of ours
      if (namesServer(original)) return uriAt(server, original);
      const kept = this.given.get(shelfOf(thing))?.get(original);
      if (kept !== undefined) return kept;
      const isTaken = this.isTaken(thing, original);
      if (!isTaken && !several.has(original)) return original;
      const uri = !isTaken && firsts.get(original) === server ? original : uriAt(server, original);
      fresh.push({ kind, server, original, exposed: uri });
      return uri;
    });
    return { exposed, fresh };
  }

  /** Keeps URIs that a client was shown. What is kept already stays. */
  keepUris(rows: readonly NameRow[]): void {
    const fresh = rows.filter(
      (row) => this.given.get(shelfOf(row))?.has(row.original) !== true && !this.isTaken(row, row.exposed),
    );
    for (const row of fresh) this.keep(row);
    if (fresh.length > 0) this.save(fresh, fresh);
  }

  /** Stores new names, and removes the oldest of what is not offered where there are too many. */
  private save(fresh: readonly NameRow[], offered: readonly Pick<NameRow, 'kind' | 'server' | 'original'>[]): void {
    const forgotten = this.forget(fresh, offered);
    this.store.saveNames({ given: fresh, forgotten, all: this.all() });
  }

  private *all(): Generator<NameRow> {
    for (const [key, shelf] of this.given) {
      const { kind, server } = shelfAt(key);
      for (const [original, exposed] of shelf) yield { kind, server, original, exposed };
    }
  }

  /** Removes the oldest names of what is not offered now, where a kind of a server has more than `keptNames`. */
  private forget(
    fresh: readonly NameRow[],
    offered: readonly Pick<NameRow, 'kind' | 'server' | 'original'>[],
  ): NameRow[] {
    const forgotten: NameRow[] = [];
    const last = new Map(fresh.map((row) => [shelfOf(row), row]));
    for (const [key, { kind, server }] of last) {
      const shelf = this.given.get(key);
      if (!shelf || shelf.size <= BOUNDS.keptNames) continue;
      const needed = new Set(offered.filter((thing) => shelfOf(thing) === key).map((thing) => thing.original));
      for (const [original, exposed] of shelf) {
        if (shelf.size <= BOUNDS.keptNames) break;
        if (needed.has(original)) continue;
        shelf.delete(original);
        this.owners.delete(ownerKey(kind, exposed));
        forgotten.push({ kind, server, original, exposed });
      }
    }
    return forgotten;
  }

  private keep(row: NameRow): void {
    const shelf = this.given.get(shelfOf(row)) ?? new Map<string, string>();
    const before = shelf.get(row.original);
    if (before !== undefined) this.owners.delete(ownerKey(row.kind, before));
    shelf.set(row.original, row.exposed);
    this.given.set(shelfOf(row), shelf);
    this.owners.set(ownerKey(row.kind, row.exposed), keyOf(row));
  }

  /** A free name: the plain one if it is short enough and free, else one with a hash. */
  private free(thing: Nameable): string {
    const plain = wholeName(thing);
    if (plain.length <= BOUNDS.exposedName && !this.isTaken(thing, plain)) return plain;
    for (let round = 0; ; round++) {
      const name = `${beforeHash(plain)}_${shortHash(`${thing.server}\n${thing.original}\n${round}`)}`;
      if (!this.isTaken(thing, name)) return name;
    }
  }

  private isTaken(thing: Pick<NameRow, 'kind' | 'server' | 'original'>, name: string): boolean {
    const owner = this.owners.get(ownerKey(thing.kind, name));
    return owner !== undefined && owner !== keyOf(thing);
  }
}

/** The original name that an exposed name means at the server of this alias; undefined where its prefix is another. */
export function originalBehind(alias: string, exposed: string): string | undefined {
  const before = stem(alias);
  return exposed.startsWith(before) && exposed.length > before.length ? exposed.slice(before.length) : undefined;
}

function wholeName(thing: Nameable): string {
  return stem(thing.alias) + plainName(thing.original);
}

/** The part of a plain name that fits before a hash. */
function beforeHash(plain: string): string {
  return plain.slice(0, BOUNDS.exposedName - HASH_LENGTH - 1);
}

/** Whether a kept name fits the present alias of its server. */
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

/** The reverse of `shelfOf`: a server's name has no line break. */
function shelfAt(key: string): Pick<NameRow, 'kind' | 'server'> {
  const [kind, server = ''] = key.split('\n');
  return { kind: kind as OfferKind, server };
}

/** Some clients do not distinguish names that differ in letter case only; URIs that do are different ones. */
function ownerKey(kind: OfferKind, exposed: string): string {
  return `${kind}\n${kind === 'tool' || kind === 'prompt' ? exposed.toLowerCase() : exposed}`;
}

function stem(alias: string): string {
  return plainName(alias).slice(0, BOUNDS.exposedName - HASH_LENGTH - SEPARATOR.length - 1) + SEPARATOR;
}

/** Six characters of base 32: enough to distinguish a thousand names, and the same on every machine. */
function shortHash(text: string): string {
  const bytes = createHash('sha256').update(text).digest();
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return Array.from(bytes.subarray(0, HASH_LENGTH), (byte) => alphabet[byte % 32] ?? '').join('');
}
