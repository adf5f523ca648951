// Parses JSON in steps: for long texts, for which JSON.parse would hold up other work, and for numbers that JSON.parse would change.
import { GatewayError } from '../../core/errors.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import {
  exactNumber,
  type JsonObject,
  type JsonValue,
  noteMembers,
  WEIGHT_OF_CONTAINER,
  weightOfKey,
  weightOfScalar,
} from '../../core/json.ts';
import { LONGEST_NUMBER, work } from './json-scan.ts';

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;

/** The work for a value beyond its characters, in characters. */
const NODE_COST = 16;
/** A string of more characters is a slice of the text, which it retains; a shorter one is a copy. */
const LONG_STRING = 64 * 1024;

/** The number at `lastIndex`. One expression for all readers, since V8 is slower with one for each. */
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** The keys of an array. */
const NO_KEYS: string[] = [];

/** The tokens that may come next. */
type Expected = 'value' | 'value or end' | 'key' | 'key or end' | 'colon' | 'comma or end' | 'nothing';

interface Open {
  readonly array: JsonValue[] | undefined;
  readonly object: JsonObject | undefined;
  /** The keys of the object. */
  readonly keys: string[];
  key: string;
  /** Its bytes of memory so far. */
  weight: number;
}

/** Parses one text. Accepts the same texts as JSON.parse, with the same values, except that it keeps numbers that JavaScript cannot hold. */
export class JsonReader {
  /** The first key that occurs twice in one object. */
  duplicate: string | undefined;
  private readonly text: string;
  private at = 0;
  private expected: Expected = 'value';
  private readonly open: Open[] = [];
  private root: JsonValue | undefined;
  /** The open string: its value so far, where the rest begins, and whether the rest has escapes. */
  private string: { known: string; from: number; escaped: boolean; readonly isKey: boolean } | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** The value of the text, once `run` has returned true. */
  get value(): JsonValue {
    return this.root ?? null;
  }

  /** Reads about so many more characters; returns whether it has read everything. Throws `parse_error`. */
  run(characters: number): boolean {
    const { text } = this;
    let end = this.at + characters;
    while (this.at < text.length) {
      if (this.at >= end) return false;
      if (this.string) {
        if (!this.readString(end)) return false;
        continue;
      }
      const code = text.charCodeAt(this.at);
      if (code === 32 || code === 10 || code === 13 || code === 9) this.at++;
      else {
        this.token(code);
        end -= NODE_COST;
      }
    }
    if (this.expected !== 'nothing' || this.string) this.fail();
    return true;
  }

  private token(code: number): void {
    const { expected } = this;
    switch (code) {
      case QUOTE:
        this.begin(expected === 'key' || expected === 'key or end');
        return;
      case COMMA:
        if (expected !== 'comma or end' || this.open.length === 0) this.fail();
        this.at++;
        this.expected = this.open.at(-1)?.array ? 'value' : 'key';
        return;
      case COLON:
        if (expected !== 'colon') this.fail();
        this.at++;
        this.expected = 'value';
        return;
      case 91:
      case 123:
        this.enter(code === 91);
        return;
      case 93:
      case 125:
        this.leave(code === 93);
        return;
      default:
        this.simple(code);
    }
  }

  private begin(isKey: boolean): void {
    if (!isKey) this.requireValue();
    this.at++;
    this.string = { known: '', from: this.at, escaped: false, isKey };
  }

  private enter(isArray: boolean): void {
    this.requireValue();
    this.at++;
    const value: JsonValue = isArray ? [] : {};
    this.put(value, 0); // `leave` adds its weight
    this.open.push({
      array: isArray ? (value as JsonValue[]) : undefined,
      object: isArray ? undefined : (value as JsonObject),
      keys: isArray ? NO_KEYS : [],
      key: '',
      weight: WEIGHT_OF_CONTAINER,
    });
    this.expected = isArray ? 'value or end' : 'key or end';
  }

  private leave(isArray: boolean): void {
    const inner = this.open.at(-1);
    const first = isArray ? 'value or end' : 'key or end';
    if (!inner || (inner.array !== undefined) !== isArray) this.fail();
    if (this.expected !== 'comma or end' && this.expected !== first) this.fail();
    this.at++;
    this.open.pop();
    const { object, keys, weight } = inner;
    if (object && keys.length > BOUNDS.envelopeMembers) noteMembers(object, { keys, weight });
    const outer = this.open.at(-1);
    if (outer) outer.weight += weight;
    this.expected = this.open.length === 0 ? 'nothing' : 'comma or end';
  }

  private simple(code: number): void {
    this.requireValue();
    const { text, at } = this;
    if (code === 116 && text.startsWith('true', at)) this.word(true, 4);
    else if (code === 102 && text.startsWith('false', at)) this.word(false, 5);
    else if (code === 110 && text.startsWith('null', at)) this.word(null, 4);
    else {
      NUMBER.lastIndex = at;
      if (!NUMBER.test(text)) this.fail();
      const to = NUMBER.lastIndex;
      this.word(numberFrom(text.slice(at, to)), to - at);
    }
  }

  private word(value: JsonValue, length: number): void {
    this.at += length;
    this.put(value);
  }

  private requireValue(): void {
    if (this.expected !== 'value' && this.expected !== 'value or end') this.fail();
  }

  /** Continues the open string; returns whether it ended before `end`. */
  private readString(end: number): boolean {
    const { text, string } = this;
    if (!string) return true;
    const until = Math.min(end, text.length);
    let { at } = this;
    for (; at < until; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.at = at + 1;
        this.endString(at);
        return true;
      }
      if (code === BACKSLASH) {
        if (!string.escaped && at - string.from > LONG_STRING) this.keep(at);
        string.escaped = true;
        at += text.charCodeAt(at + 1) === 117 ? 5 : 1; // a step never ends inside an escape
      } else if (code < 32) {
        this.at = at;
        this.fail();
      }
    }
    this.at = at;
    if (string.escaped) this.keep(Math.min(at, text.length));
    return false;
  }

  /** Adds the text of the open string so far to its value. */
  private keep(to: number): void {
    const { text, string } = this;
    if (!string) return;
    const rest = text.slice(string.from, to);
    string.known += string.escaped ? this.resolve(`"${rest}"`) : rest;
    string.from = to;
    string.escaped = false;
  }

  private endString(at: number): void {
    const { text, string } = this;
    if (!string) return;
    this.string = undefined;
    const { known, from, escaped, isKey } = string;
    const length = at - from;
    // V8 copies a short slice, but a longer one retains the whole message: a URI that the gateway remembers would keep all of it in memory
    const plain = !escaped && (length < 13 || length > LONG_STRING);
    const rest = plain ? text.slice(from, at) : this.resolve(`"${text.slice(from, at)}"`);
    const value = known === '' ? rest : known + rest;
    if (isKey) {
      const inner = this.open.at(-1);
      if (inner) inner.key = value;
      this.expected = 'colon';
    } else this.put(value);
  }

  private resolve(quoted: string): string {
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return this.fail();
    }
  }

  private put(value: JsonValue, weight = weightOfScalar(value)): void {
    work.nodes++;
    const inner = this.open.at(-1);
    if (inner) inner.weight += inner.array ? weight : weight + weightOfKey(inner.key);
    if (inner === undefined) this.root = value;
    else if (inner.array) inner.array.push(value);
    else if (inner.object) this.putMember(inner.object, inner, value);
    this.expected = inner === undefined ? 'nothing' : 'comma or end';
  }

  private putMember(object: JsonObject, { key, keys }: Open, value: JsonValue): void {
    if (Object.hasOwn(object, key)) this.duplicate ??= key;
    else keys.push(key);
    // an assignment of this key would set the prototype and lose the key
    if (key === '__proto__')
      Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
    else object[key] = value;
  }

  private fail(): never {
    const { text, at } = this;
    const found = at < text.length ? `${JSON.stringify(text.charAt(at))} at position ${at}` : 'its end';
    throw new GatewayError('parse_error', `The message is not JSON: unexpected ${found}`);
  }
}

function numberFrom(text: string): JsonValue {
  if (text.length > LONGEST_NUMBER) return exactNumber(text);
  const value = Number(text);
  return String(value) === text ? value : exactNumber(text);
}
