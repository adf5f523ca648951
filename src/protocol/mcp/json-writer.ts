// Writes JSON as JSON.stringify does, in as many steps as it takes: what is large would hold everybody up.
import { inSlices } from '../../core/slices.ts';
import { exactText, type JsonObject, type JsonValue, notedKeys } from '../../core/json.ts';
import { work } from './json-scan.ts';

/** What a value costs beyond its characters, in characters. */
const NODE_COST = 16;
/** A longer string is written piece by piece. */
const PIECE = 16 * 1024;

/** An array or object that is being written. */
interface Open {
  readonly values: readonly (JsonValue | undefined)[] | JsonObject;
  /** The keys of an object. */
  readonly keys: readonly string[] | undefined;
  next: number;
  empty: boolean;
}

/** Writes one value. */
export class JsonWriter {
  private readonly done: string[] = [];
  private piece = '';
  private readonly open: Open[] = [];
  /** The long string that is being written, and where its rest begins. */
  private string: { readonly text: string; at: number } | undefined;
  /** What may still be written in this step. */
  private left = 0;

  constructor(value: JsonValue) {
    this.value(value);
  }

  /** The whole text, once everything is written: put together by whoever reads it, since more may be put around it first. */
  get text(): string {
    let text = '';
    for (const piece of this.done) text += piece;
    return text;
  }

  /** Writes about this many characters; returns whether that was the last. */
  run(characters: number): boolean {
    this.left = characters;
    while (this.left > 0) {
      if (this.string) this.goOn(this.string);
      else if (!this.next()) {
        this.flush();
        return true;
      }
    }
    this.flush();
    return false;
  }

  /** Writes the next element or member; returns false where there is none, nor will be. */
  private next(): boolean {
    const inner = this.open.at(-1);
    if (!inner) return false;
    const { values, keys } = inner;
    const index = inner.next++;
    if (keys === undefined) {
      const list = values as readonly (JsonValue | undefined)[];
      if (index >= list.length) return this.close(']');
      if (index > 0) this.put(',');
      this.value(list[index] ?? null);
      return true;
    }
    const key = keys[index];
    if (key === undefined) return this.close('}');
    const value = (values as JsonObject)[key];
    if (value === undefined) return true;
    this.put(`${inner.empty ? '' : ','}${JSON.stringify(key)}:`);
    inner.empty = false;
    this.value(value);
    return true;
  }

  private close(mark: string): true {
    this.open.pop();
    this.put(mark);
    return true;
  }

  private value(value: JsonValue): void {
    work.nodes++;
    this.left -= NODE_COST;
    if (typeof value === 'string' && value.length > PIECE) {
      this.put('"');
      this.string = { text: value, at: 0 };
    } else if (typeof value !== 'object' || value === null || exactText(value) !== undefined)
      this.put(JSON.stringify(value));
    else if (Array.isArray(value)) {
      this.put('[');
      this.open.push({ values: value, keys: undefined, next: 0, empty: true });
    } else {
      this.put('{');
      this.open.push({ values: value, keys: notedKeys(value) ?? Object.keys(value), next: 0, empty: true });
    }
  }

  private goOn(string: { readonly text: string; at: number }): void {
    const { text, at } = string;
    let end = Math.min(text.length, at + PIECE);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--; // the two halves are one character
    this.put(JSON.stringify(text.slice(at, end)).slice(1, -1));
    string.at = end;
    if (end < text.length) return;
    this.put('"');
    this.string = undefined;
  }

  private put(text: string): void {
    this.piece += text;
    this.left -= text.length;
  }

  private flush(): void {
    // a string that was put together of many is made one here, and not all of them at the end
    if (this.piece !== '') this.done.push(flat(this.piece));
    this.piece = '';
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** The same text in one stretch of memory: a number as an index makes V8 put it together. */
function flat(text: string): string {
  text.charCodeAt(0);
  return text;
}

/** Writes a value in several turns of the event loop. */
export async function writeInSlices(value: JsonValue): Promise<string> {
  const writer = new JsonWriter(value);
  await inSlices(writer);
  return writer.text;
}

/** The text of values that were written ahead, for as long as they are there themselves. */
const ahead = new WeakMap<object, string>();

/** Writes each member of an object in slices, so that `textOf` and `membersText` have it at hand. */
export async function writeAhead(object: JsonObject): Promise<void> {
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (typeof value === 'object' && value !== null && !ahead.has(value)) ahead.set(value, await writeInSlices(value));
  }
}

/** The JSON of a value, which may have been written ahead. */
export function textOf(value: JsonValue): string {
  return (typeof value === 'object' && value !== null ? ahead.get(value) : undefined) ?? JSON.stringify(value);
}

/** The JSON of an object whose members may have been written ahead. */
export function membersText(object: JsonObject): string {
  for (const key in object) {
    const value = object[key];
    if (typeof value === 'object' && value !== null && ahead.has(value)) return joined(object);
  }
  return JSON.stringify(object);
}

function joined(object: JsonObject): string {
  const members = Object.entries(object).flatMap(([key, value]) =>
    value === undefined ? [] : [`${JSON.stringify(key)}:${textOf(value)}`],
  );
  return `{${members.join(',')}}`;
}
