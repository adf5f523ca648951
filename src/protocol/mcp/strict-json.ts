// The one parser of foreign JSON: bounded in depth and in items, no duplicate keys, all checked before anything is built.
import { GatewayError, reasonOf } from '../../core/errors.ts';
import { exactText, type JsonValue } from '../../core/json.ts';
import { inSlices } from '../../core/slices.ts';
import { isRequestId, type RequestId } from './frames.ts';
import { JsonReader } from './json-reader.ts';
import { JsonScan, type ScanLimits, scanShort, work } from './json-scan.ts';

export interface StrictOptions extends ScanLimits {
  /** Whether an object that names a key twice is refused (parsers disagree on which one counts). */
  readonly uniqueKeys: boolean;
}

/** A text of more characters is read in slices, between which everybody else has a turn. */
export const SLICED_ABOVE = 128 * 1024;

/** A message over a limit. What it is shows all the same, so that whoever waits for it can be told. */
export class OverLimit extends GatewayError {
  readonly limit: 'depth' | 'items';
  /** The id of the message; undefined where none is known. */
  readonly id: RequestId | undefined;
  /** Whether it is no request and no notification. */
  readonly isAnswer: boolean;

  constructor(scan: JsonScan, limit: 'depth' | 'items', most: number) {
    const message =
      limit === 'depth'
        ? `The JSON is nested deeper than ${most} levels (limits.depth).`
        : `The JSON has more than ${most} items, array elements and object members together (limits.items).`;
    super('invalid_request', message);
    this.limit = limit;
    this.id = idFrom(scan.idText);
    this.isAnswer = !scan.hasMethod;
  }
}

/** Parses JSON text at once. Throws `parse_error` where it is not JSON, `invalid_request` where it repeats a key, `OverLimit`. */
export function parseStrict(text: string, options: StrictOptions): JsonValue {
  const scan = isShort(text, options) ? scanShort(text) : scanWhole(text, options);
  if (scan.deepest > options.depth) scanWhole(text, options); // throws, and tells whose message it is
  const { exact, members } = scan;
  if (!exact) {
    const value = parse(text);
    // every member is there, unless one has taken the place of another
    if (!options.uniqueKeys || membersOf(value) === members) return value;
  }
  const reader = new JsonReader(text);
  reader.run(Infinity);
  return finished(reader, options);
}

/** Up to this length a text is looked at in one go. */
const SHORT_TEXT = 4 * 1024;

/** Whether a text cannot hold more items than are taken: each takes two characters, but for the first of an array. */
function isShort(text: string, { items = Infinity }: StrictOptions): boolean {
  return text.length <= SHORT_TEXT && text.length <= items;
}

function scanWhole(text: string, options: StrictOptions): { deepest: number; exact: boolean; members: number } {
  const scan = new JsonScan(text, options);
  scan.run(text.length);
  requireWithin(scan, options);
  return { deepest: 0, exact: scan.exact, members: scan.members };
}

/** The same, in several turns of the event loop where the text is long. Only then is it a promise. */
export function readStrict(text: string, options: StrictOptions): JsonValue | Promise<JsonValue> {
  return text.length > SLICED_ABOVE ? readInSlices(text, options) : parseStrict(text, options);
}

async function readInSlices(text: string, options: StrictOptions): Promise<JsonValue> {
  const scan = new JsonScan(text, options);
  await inSlices(scan);
  requireWithin(scan, options);
  const reader = new JsonReader(text);
  await inSlices(reader);
  return finished(reader, options);
}

function requireWithin(scan: JsonScan, { depth, items = Infinity }: StrictOptions): void {
  if (scan.fault) throw new OverLimit(scan, scan.fault, scan.fault === 'depth' ? depth : items);
}

function finished({ value, duplicate }: JsonReader, { uniqueKeys }: StrictOptions): JsonValue {
  if (!uniqueKeys || duplicate === undefined) return value;
  const key = JSON.stringify(duplicate.slice(0, 64));
  throw new GatewayError(
    'invalid_request',
    `The JSON names the key ${key} twice in one object; each key may stand once.`,
  );
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new GatewayError('parse_error', `The message is not JSON: ${reasonOf(error).slice(0, 200)}`);
  }
}

/** The members of all objects in a value; its depth is bounded by now. */
function membersOf(value: JsonValue | undefined): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  work.nodes++;
  if (Array.isArray(value)) for (const inner of value) members += membersOf(inner);
  else for (const key in value) members += 1 + membersOf(value[key]);
  return members;
}

function idFrom(text: string | undefined): RequestId | undefined {
  if (text === undefined || text.length > 8 * 1024) return undefined;
  try {
    const id = parseStrict(text, { depth: 1, uniqueKeys: false });
    return exactText(id) === undefined && isRequestId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
