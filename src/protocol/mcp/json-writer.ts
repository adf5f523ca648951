// Writes JSON as JSON.stringify does, in steps, since writing a large value at once would hold up other work.
import { inSlices } from '../../core/slices.ts';
import { exactText, type JsonObject, type JsonValue, notedKeys } from '../../core/json.ts';
import { work } from './json-scan.ts';

/** The work for a value beyond its characters, in characters. */
const NODE_COST = 16;
/** A string of more characters is written in pieces. */
const PIECE = 16 * 1024;

/** An open array or object. */
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
  /** The open long string, and where its rest begins. */
  private string: { readonly text: string; at: number } | undefined;
  /** The characters left in this step. */
  private left = 0;

  constructor(value: JsonValue) {
    this.value(value);
  }

  /** The whole text, once `run` has returned true. It joins the pieces only here. */
  get text(): string {
    let text = '';
    for (const piece of this.done) text += piece;
    return text;
  }

  /** Writes about so many more characters; returns whether it has written everything. */
  run(characters: number): boolean {
    this.left = characters;
    while (this.left > 0) {
      if (this.string) this.continueString(this.string);
      else if (!this.next()) {
        this.flush();
        return true;
      }
    }
    this.flush();
    return false;
  }

  /** Writes the next element or member; returns false where everything is written. */
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

  private continueString(string: { readonly text: string; at: number }): void {
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
    // flattens the piece now, so that the end of the work does not flatten all pieces at once
    if (this.piece !== '') this.done.push(flat(this.piece));
    this.piece = '';
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** The same text in one block of memory: V8 flattens a concatenated string when a character is read. */
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

/** The JSON of values that were written ahead, by value. It is collected with the value. */
const ahead = new WeakMap<object, string>();

/** Writes each member of an object ahead, in slices, for `textOf` and `membersText`. */
export async function writeAhead(object: JsonObject): Promise<void> {
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (typeof value === 'object' && value !== null && !ahead.has(value)) ahead.set(value, await writeInSlices(value));
  }
}

/** The JSON of a value; uses what was written ahead. */
export function textOf(value: JsonValue): string {
  return (typeof value === 'object' && value !== null ? ahead.get(value) : undefined) ?? JSON.stringify(value);
}

/** The JSON of an object; uses the members that were written ahead. */
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
