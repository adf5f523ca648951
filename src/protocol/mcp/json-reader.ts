// Parses JSON in steps: for long texts, for which JSON.parse would hold up other work, and for numbers that JSON.parse would change.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError } from '../../core/errors.ts';
import { endOfNumber, HEAP, type JsonObject, type JsonValue, note, readNumber } from '../../core/json.ts';
import { STEP, type Steps } from '../../core/slices.ts';
import { type JsonLimits, OverLimit } from './over-limit.ts';

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const END_OF_ARRAY = 93;
const END_OF_OBJECT = 125;

/** The work for a value beyond its characters, in characters. */
const NODE_COST = 16;
/** A string of more characters is a slice of the text, which it retains; a shorter one is a copy. */
const LONG_STRING = 64 * 1024;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;

/**
 * Parses one text. Accepts the same texts as JSON.parse within the limits, with the same values, except that it keeps numbers that JavaScript
 * cannot hold. It makes a generator only for what can take several steps: an array, an object, and a string or number that is longer than the
 * step.
 */
export class JsonReader {
  /** The first key that occurs twice in one object. */
  duplicate: string | undefined;
  private readonly text: string;
  private readonly limits: JsonLimits;
  private readonly step: number;
  private at = 0;
  /** Where the step ends. */
  private until: number;
  private items = 0;
  /** The bytes of memory of everything so far. */
  private weight = 0;
  /** The last value, or the last key. */
  private found: JsonValue = null;
  /** Where the open number begins, or what is left of the open string. */
  private from = 0;
  /** Of the open string: its value so far, and whether the rest has escapes. */
  private known = '';
  private escaped = false;

  constructor(text: string, limits: JsonLimits, step = STEP) {
    this.text = text;
    this.limits = limits;
    this.step = this.until = step;
  }

  /** Reads the value of the text. Throws `parse_error`, and `OverLimit` where the limit is passed: it reads nothing after that. */
  *read(): Steps<JsonValue> {
    while (this.stepEnds()) yield* this.pause();
    const rest = this.value(0);
    if (rest) yield* rest;
    while (this.stepEnds()) yield* this.pause();
    if (this.at < this.text.length) this.fail();
    return this.found;
  }

  /** Reads the value that is next into `found`; returns the work that is left where that can take several steps. */
  private value(depth: number): Steps<void> | undefined {
    this.until -= NODE_COST;
    switch (this.text.charCodeAt(this.at)) {
      case QUOTE:
        return this.string();
      case 91:
        return this.array(depth + 1);
      case 123:
        return this.object(depth + 1);
      case 116:
        this.found = this.word('true', true);
        break;
      case 102:
        this.found = this.word('false', false);
        break;
      case 110:
        this.found = this.word('null', null);
        break;
      default:
        return this.number();
    }
    return undefined;
  }

  private *array(depth: number): Steps<void> {
    const array: JsonValue[] = [];
    this.enter(depth);
    while (this.stepEnds()) yield* this.pause();
    if (!this.skip(END_OF_ARRAY))
      do {
        this.countItem();
        while (this.stepEnds()) yield* this.pause();
        const rest = this.value(depth);
        if (rest) yield* rest;
        array.push(this.found);
        while (this.stepEnds()) yield* this.pause();
      } while (this.goesOn(END_OF_ARRAY));
    this.found = array;
  }

  private *object(depth: number): Steps<void> {
    const before = this.weight;
    const object: JsonObject = {};
    const keys: string[] = [];
    this.enter(depth);
    while (this.stepEnds()) yield* this.pause();
    if (!this.skip(END_OF_OBJECT))
      do {
        this.countItem();
        this.weight += HEAP.key;
        while (this.stepEnds()) yield* this.pause();
        const restOfKey = this.string();
        if (restOfKey) yield* restOfKey;
        const key = this.found as string;
        while (this.stepEnds()) yield* this.pause();
        if (!this.skip(COLON)) this.fail();
        while (this.stepEnds()) yield* this.pause();
        const rest = this.value(depth);
        if (rest) yield* rest;
        this.put(object, keys, key);
        while (this.stepEnds()) yield* this.pause();
      } while (this.goesOn(END_OF_OBJECT));
    if (keys.length > BOUNDS.envelopeMembers) note(object, { keys, weight: HEAP.value + this.weight - before });
    this.found = object;
  }

  private enter(depth: number): void {
    if (depth > this.limits.depth) throw new OverLimit('depth', this.limits.depth);
    this.weight += HEAP.container;
    this.at++;
  }

  private countItem(): void {
    const { items: most = Infinity } = this.limits;
    if (++this.items > most) throw new OverLimit('items', most);
    this.weight += HEAP.value;
  }

  private put(object: JsonObject, keys: string[], key: string): void {
    const value = this.found;
    if (Object.hasOwn(object, key)) this.duplicate ??= key;
    else keys.push(key);
    // an assignment of this key would set the prototype and lose the key
    if (key === '__proto__')
      Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
    else object[key] = value;
  }

  private *pause(): Steps<void> {
    yield;
    this.until = this.at + this.step;
  }

  /** The steps in which an open string or number goes on until it ends. */
  private *rest(endsInStep: () => boolean): Steps<void> {
    do yield* this.pause();
    while (!endsInStep());
  }

  /** Skips white space; returns whether the step ends before something else is next. */
  private stepEnds(): boolean {
    const { text, until } = this;
    let { at } = this;
    while (at < until && isSpace(text.charCodeAt(at))) at++;
    this.at = at;
    return at >= until;
  }

  /** Skips the character if it is next; returns whether it is. */
  private skip(code: number): boolean {
    const isNext = this.text.charCodeAt(this.at) === code;
    if (isNext) this.at++;
    return isNext;
  }

  /** Whether another item follows, and not the end. */
  private goesOn(end: number): boolean {
    if (this.skip(COMMA)) return true;
    if (!this.skip(end)) this.fail();
    return false;
  }

  private word<T extends boolean | null>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail();
    this.at += word.length;
    return value;
  }

  /** Reads the number that is next into `found`; returns the work that is left where the number is longer than the step. */
  private number(): Steps<void> | undefined {
    this.from = this.at;
    return this.numberEndsInStep() ? undefined : this.rest(() => this.numberEndsInStep());
  }

  /** Continues the open number; returns whether it ended within the step. */
  private numberEndsInStep(): boolean {
    const { text, from, until } = this;
    const end = endOfNumber(text, Math.max(from, this.at - 1), until);
    this.at = end;
    if (end >= until && end < text.length) return false;
    this.at = from;
    const [digits] = NUMBER.exec(text.slice(from, end)) ?? this.fail();
    this.at += digits.length;
    this.found = readNumber(digits);
    return true;
  }

  /** Reads the string that is next into `found`; returns the work that is left where the string is longer than the step. */
  private string(): Steps<void> | undefined {
    if (this.text.charCodeAt(this.at) !== QUOTE) this.fail();
    this.from = ++this.at;
    this.known = '';
    this.escaped = false;
    return this.stringEndsInStep() ? undefined : this.rest(() => this.stringEndsInStep());
  }

  /** Continues the open string; returns whether it ended within the step. */
  private stringEndsInStep(): boolean {
    const { text } = this;
    const until = Math.min(this.until, text.length);
    let { at } = this;
    for (; at < until; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.keep(at);
        this.weight += this.known.length;
        this.found = this.known;
        this.at = at + 1;
        return true;
      }
      if (code === BACKSLASH) {
        if (!this.escaped && at - this.from > LONG_STRING) this.keep(at);
        this.escaped = true;
        at += text.charCodeAt(at + 1) === 117 ? 5 : 1; // a step never ends inside an escape
      } else if (code < 32) {
        this.at = at;
        this.fail();
      }
    }
    this.at = at;
    if (at >= text.length) this.fail();
    if (this.escaped) this.keep(at);
    return false;
  }

  /** Adds the text of the open string so far to its value. */
  private keep(to: number): void {
    const rest = this.text.slice(this.from, to);
    // V8 copies a short slice, but a longer one retains the whole message: a URI that the gateway remembers would keep all of it in memory
    const isPlain = !this.escaped && (rest.length < 13 || rest.length > LONG_STRING);
    this.known += isPlain ? rest : this.resolved(`"${rest}"`);
    this.from = to;
    this.escaped = false;
  }

  private resolved(quoted: string): string {
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return this.fail();
    }
  }

  private fail(): never {
    const { text, at } = this;
    const found = at < text.length ? `${JSON.stringify(text.charAt(at))} at position ${at}` : 'its end';
    throw new GatewayError('parse_error', `The message is not JSON: unexpected ${found}`);
  }
}

function isSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9;
}
