// Writes JSON as JSON.stringify does, in steps, since writing a large value at once would hold up other work.
import { exactText, type JsonObject, type JsonValue, note, notesOn } from '../../core/json.ts';
import { inSlices, STEP, type Steps } from '../../core/slices.ts';

/** The work for a value beyond its characters, in characters. */
const NODE_COST = 16;
/** A string of more characters is written in pieces. */
const PIECE = 16 * 1024;

/** Writes one value. It makes a generator only for what can take several steps: an array, an object, and a long string. */
export class JsonWriter {
  private readonly step: number;
  private readonly done: string[] = [];
  private piece = '';
  /** The characters left in this step. */
  private left: number;

  constructor(step = STEP) {
    this.step = this.left = step;
  }

  /** The text of the value. It joins the pieces only at the end. */
  *write(value: JsonValue): Steps<string> {
    const rest = this.value(value);
    if (rest) yield* rest;
    this.flush();
    let text = '';
    for (const piece of this.done) text += piece;
    return text;
  }

  /** Writes a value; returns the work that is left where that can take several steps. */
  private value(value: JsonValue): Steps<void> | undefined {
    this.left -= NODE_COST;
    if (typeof value === 'string' && value.length > PIECE) return this.longString(value);
    if (typeof value === 'object' && value !== null && exactText(value) === undefined)
      return Array.isArray(value) ? this.array(value) : this.object(value);
    this.put(JSON.stringify(value));
    return undefined;
  }

  private *array(values: readonly (JsonValue | undefined)[]): Steps<void> {
    this.put('[');
    for (let index = 0; index < values.length; index++) {
      if (index > 0) this.put(',');
      const rest = this.value(values[index] ?? null);
      if (rest) yield* rest;
      if (this.left <= 0) yield* this.pause();
    }
    this.put(']');
  }

  private *object(object: JsonObject): Steps<void> {
    let before = '{';
    for (const key of notesOn(object)?.keys ?? Object.keys(object)) {
      const value = object[key];
      if (value === undefined) continue;
      this.put(`${before}${JSON.stringify(key)}:`);
      before = ',';
      const rest = this.value(value);
      if (rest) yield* rest;
      if (this.left <= 0) yield* this.pause();
    }
    this.put(before === '{' ? '{}' : '}');
  }

  private *longString(text: string): Steps<void> {
    this.put('"');
    for (let at = 0; at < text.length;) {
      let end = Math.min(text.length, at + PIECE);
      if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--; // the two halves are one character
      this.put(JSON.stringify(text.slice(at, end)).slice(1, -1));
      at = end;
      if (this.left <= 0) yield* this.pause();
    }
    this.put('"');
  }

  private put(text: string): void {
    this.piece += text;
    this.left -= text.length;
  }

  private *pause(): Steps<void> {
    this.flush();
    yield;
    this.left = this.step;
  }

  private flush(): void {
    // V8 flattens a concatenated string when a character is read: now, so that the end of the work does not flatten all pieces at once
    this.piece.charCodeAt(0);
    this.done.push(this.piece);
    this.piece = '';
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** Writes a value in several turns of the event loop. */
export function writeInSlices(value: JsonValue): Promise<string> {
  return inSlices(new JsonWriter().write(value));
}

/** Writes each member of an object ahead, in slices, for `jsonOf` and `jsonOfMembers`. */
export async function writeAhead(object: JsonObject): Promise<void> {
  for (const value of Object.values(object))
    if (typeof value === 'object' && value !== null && notesOn(value)?.json === undefined)
      note(value, { json: await writeInSlices(value) });
}
