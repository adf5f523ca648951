// Parsed JSON: its types, the numbers that JavaScript cannot hold, notes on large values, and how much memory it takes.

/** Any JSON value. A number may be an exact number, which is an object of JavaScript but not of JSON: use `isObject` and `numberOf`. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object; keys are untrusted text. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

/** JSON.rawJSON (ECMA-262), which TypeScript's library does not declare yet: a value that JSON.stringify writes as its text. */
const EXACT = JSON as typeof JSON & {
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
};

/** Tells whether a value is a JSON object: not null, not an array, not an exact number. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !EXACT.isRawJSON(value);
}

/** The text of a number that JavaScript would change, such as 9007199254740993, 1e400, 1.0 or -0; undefined for every other value. */
export function exactText(value: unknown): string | undefined {
  return typeof value === 'object' && EXACT.isRawJSON(value) ? value.rawJSON : undefined;
}

/** The JavaScript number nearest to a JSON number; undefined for any other value. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const text = exactText(value);
  return text === undefined ? undefined : Number(text);
}

/** JavaScript holds integers of up to so many digits exactly; a longer number is compared. */
const SAFE_LENGTH = 15;
/** JavaScript never writes a number with more characters. */
const LONGEST_NUMBER = 32;
const MINUS = 45;
const DOT = 46;

/** The number of a text: an exact number where JavaScript would change it. JSON.stringify writes an exact number as its text. */
export function readNumber(text: string): JsonValue {
  return staysSame(text, 0, text.length) ? Number(text) : EXACT.rawJSON(text);
}

/** Whether JavaScript writes the number in this range of the text with the same characters. */
export function staysSame(text: string, from: number, to: number): boolean {
  const length = to - from;
  if (length > LONGEST_NUMBER) return false;
  if (length <= SAFE_LENGTH && text.charCodeAt(from) !== MINUS) {
    let at = from;
    while (at < to && isDigit(text.charCodeAt(at))) at++;
    if (at === to) return true;
  }
  const written = text.slice(from, to);
  return String(Number(written)) === written;
}

/** The index after the number that begins at `from`, which looks no further than `to`; the text may hold anything. */
export function endOfNumber(text: string, from: number, to = text.length): number {
  const end = Math.min(to, text.length);
  let at = from + 1;
  while (at < end && (isNumeric(text.charCodeAt(at)) || isExponent(text.charCodeAt(at)))) at++;
  return at;
}

/** Whether a number can begin with the character: digits, minus sign and, where the text is not JSON, decimal point. */
export function isNumeric(code: number): boolean {
  return isDigit(code) || code === MINUS || code === DOT;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** The other characters of a number: `e`, `E`, `+`. */
function isExponent(code: number): boolean {
  return code === 101 || code === 69 || code === 43;
}

/** What the gateway has found out about a parsed object or array that does not change any more, so that it need not visit all of it again. */
interface Notes {
  /** The keys of an object of more than `envelopeMembers`: V8 takes a third of a microsecond to list each, and a whole one to copy it. */
  readonly keys?: readonly string[];
  /** The bytes of memory of such an object. */
  readonly weight?: number;
  /** The JSON of a large value. */
  readonly json?: string;
}

const NOTES = Symbol('notes');

/** Adds notes to a value. They are a hidden property of it, which no list of keys, copy or JSON has. */
export function note(value: object, notes: Notes): void {
  if (Object.isExtensible(value))
    Object.defineProperty(value, NOTES, { value: { ...notesOn(value), ...notes }, configurable: true });
}

/** The notes on a value; undefined where there are none. */
export function notesOn(value: object): Notes | undefined {
  return (value as { readonly [NOTES]?: Notes })[NOTES];
}

/** The JSON of a value, which is in its notes where it was written ahead. */
export function jsonOf(value: JsonValue): string {
  return (typeof value === 'object' && value !== null ? notesOn(value)?.json : undefined) ?? JSON.stringify(value);
}

/** The JSON of an object, in which some members may have been written ahead. */
export function jsonOfMembers(object: JsonObject): string {
  const values = Object.values(object);
  if (!values.some((value) => typeof value === 'object' && value !== null && notesOn(value)?.json !== undefined))
    return JSON.stringify(object);
  const members = Object.entries(object).flatMap(([key, value]) =>
    value === undefined ? [] : [`${JSON.stringify(key)}:${jsonOf(value)}`],
  );
  return `{${members.join(',')}}`;
}

/** The first `most` characters of a text. It copies a longer text, since a slice would retain the whole text in memory. */
export function firstOf(text: string, most: number): string {
  return text.length <= most ? text : Buffer.from(text.slice(0, most)).toString();
}

/** Bytes of heap, as measured with V8: of each value, and in addition of each array or object and of each key. A string takes its length too. */
export const HEAP = { value: 16, container: 32, key: 32 } as const;

/** The bytes of a value on the heap; visits all of it. The parser bounds its depth. */
export function estimateHeap(value: JsonValue | undefined): number {
  if (typeof value === 'string') return HEAP.value + value.length;
  if (typeof value !== 'object' || value === null) return HEAP.value;
  const noted = notesOn(value)?.weight;
  if (noted !== undefined) return noted;
  let weight = HEAP.value + HEAP.container;
  if (Array.isArray(value)) for (const inner of value) weight += estimateHeap(inner);
  else for (const key of Object.keys(value)) weight += HEAP.key + key.length + estimateHeap(value[key]);
  return weight;
}

/** A message of up to this size counts with the most memory that its bytes can take, which is cheaper than to visit it. */
const SMALL = 16 * 1024;
const MOST_PER_BYTE = 16;

/** The bytes of a parsed message in memory. */
export function messageHeap(bytes: number, body: JsonValue): number {
  return bytes <= SMALL ? bytes * MOST_PER_BYTE : estimateHeap(body);
}

/** The text with `_` for every other character. */
export function plainName(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_');
}
