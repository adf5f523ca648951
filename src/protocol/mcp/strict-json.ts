// The one parser of foreign JSON: bounded depth, no duplicate keys, checked before anything is built.
import { GatewayError, reasonOf } from '../../core/errors.ts';
import type { JsonValue } from '../../core/json.ts';

export interface StrictOptions {
  /** Deepest nesting of arrays and objects that is taken. */
  readonly depth: number;
  /** Whether an object that names a key twice is refused (parsers disagree on which one counts). */
  readonly uniqueKeys: boolean;
}

const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;

/** What a walk over the text found; `duplicate` is only meant if the text parses. */
interface Structure {
  readonly tooDeep: boolean;
  readonly duplicate?: string;
}

const FLAT: Structure = { tooDeep: false };

/** Parses JSON text. Throws `parse_error` where it is not JSON, `invalid_request` where it is too deep or repeats a key. */
export function parseStrict(text: string, options: StrictOptions): JsonValue {
  // each level takes two characters, so a short text cannot be too deep
  const structure = options.uniqueKeys || text.length > 2 * options.depth ? walk(text, options) : FLAT;
  if (structure.tooDeep) {
    throw new GatewayError('invalid_request', `The JSON is nested deeper than ${options.depth} levels (limits.depth).`);
  }
  const value = parse(text);
  if (structure.duplicate !== undefined) {
    const key = JSON.stringify(structure.duplicate.slice(0, 64));
    throw new GatewayError(
      'invalid_request',
      `The JSON names the key ${key} twice in one object; each key may stand once.`,
    );
  }
  return value;
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new GatewayError('parse_error', `The message is not JSON: ${reasonOf(error).slice(0, 200)}`);
  }
}

/** Finds the end of a string whose content starts at `from`: the index of its closing quote, or the text's length. */
function closingQuote(text: string, from: number): number {
  let end = text.indexOf('"', from);
  while (end !== -1) {
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** Walks the tokens that open, close and name; everything else is left to JSON.parse. */
function walk(text: string, { depth: limit, uniqueKeys }: StrictOptions): Structure {
  const keys: (KeySet | undefined)[] = [];
  let depth = 0;
  let start = 0;
  let end = 0;
  let duplicate: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      start = at + 1;
      end = at = closingQuote(text, start);
    } else if (code === COLON && uniqueKeys) {
      const set = (keys[depth] ??= new KeySet());
      const key = unescape(text.slice(start, end));
      if (!set.add(key)) duplicate ??= key;
    } else if (code === 123 || code === 91) {
      if (++depth > limit) return { tooDeep: true };
      keys[depth]?.clear();
    } else if (code === 125 || code === 93) {
      if (depth > 0) depth--;
    }
  }
  return duplicate === undefined ? { tooDeep: false } : { tooDeep: false, duplicate };
}

/** The keys of the object that is open at one depth; small objects never pay for a Set. */
class KeySet {
  private few: string[] = [];
  private many: Set<string> | undefined;

  /** Returns false if the key was there already. */
  add(key: string): boolean {
    if (this.many) return this.many.size !== this.many.add(key).size;
    if (this.few.includes(key)) return false;
    if (this.few.push(key) > 16) this.many = new Set(this.few);
    return true;
  }

  clear(): void {
    if (this.few.length > 0) this.few = [];
    this.many = undefined;
  }
}

/** Resolves escapes, since `"a"` and `"\u0061"` are one key. */
function unescape(raw: string): string {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw; // not JSON at all: JSON.parse of the whole text says so
  }
}
