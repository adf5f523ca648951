// The one parser for JSON of clients and servers: bounds depth and items, refuses duplicate keys, and scans before it parses.
import { GatewayError, reasonOf } from '../../core/errors.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { exactText, type JsonValue } from '../../core/json.ts';
import { inSlices } from '../../core/slices.ts';
import { isRequestId, type RequestId } from './frames.ts';
import { JsonReader } from './json-reader.ts';
import { JsonScan, type ScanLimits, scanShort, work } from './json-scan.ts';

export interface StrictOptions extends ScanLimits {
  /** Whether an object with a duplicate key is refused, since parsers differ in which one counts. */
  readonly uniqueKeys: boolean;
}

/** A message over a limit. It has the id of the message, so that the request which waits for it can fail. */
export class OverLimit extends GatewayError {
  readonly limit: 'depth' | 'items';
  /** The id of the message; undefined where none is known. */
  readonly id: RequestId | undefined;
  /** Whether it is a response. */
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
  if (scan.deepest > options.depth) scanWhole(text, options); // throws, with the id of the message
  const { exact, members } = scan;
  if (!exact) {
    const value = parse(text);
    // a duplicate key replaces a member, so that the value has fewer members than the text
    if (!options.uniqueKeys || membersOf(value) === members) return value;
  }
  const reader = new JsonReader(text);
  reader.run(Infinity);
  return finished(reader, options);
}

/** The longest text for `scanShort`, which is the fastest for it. */
const SHORT_TEXT = 4 * 1024;

/** Whether a text is too short for more items than the limit: each item takes two characters, except the first of an array. */
function isShort(text: string, { items = Infinity }: StrictOptions): boolean {
  return text.length <= SHORT_TEXT && text.length <= items;
}

function scanWhole(text: string, options: StrictOptions): { deepest: number; exact: boolean; members: number } {
  const scan = new JsonScan(text, options);
  scan.run(text.length);
  requireWithin(scan, options);
  return { deepest: 0, exact: scan.exact, members: scan.members };
}

/** Parses JSON text as `parseStrict` does; a long text in several turns of the event loop, and only then with a promise. */
export function readStrict(text: string, options: StrictOptions): JsonValue | Promise<JsonValue> {
  return text.length > BOUNDS.slicedMessage ? readInSlices(text, options) : parseStrict(text, options);
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
  const key = JSON.stringify(duplicate.slice(0, BOUNDS.errorKey));
  throw new GatewayError(
    'invalid_request',
    `The JSON names the key ${key} twice in one object; each key may stand once.`,
  );
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new GatewayError('parse_error', `The message is not JSON: ${reasonOf(error).slice(0, BOUNDS.parserReason)}`);
  }
}

/** The number of members of all objects in a value; the scan has bounded its depth. */
function membersOf(value: JsonValue | undefined): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  work.nodes++;
  if (Array.isArray(value)) for (const inner of value) members += membersOf(inner);
  else for (const key in value) members += 1 + membersOf(value[key]);
  return members;
}

function idFrom(text: string | undefined): RequestId | undefined {
  if (text === undefined || text.length > BOUNDS.refusedId) return undefined;
  try {
    const id = parseStrict(text, { depth: 1, uniqueKeys: false });
    return exactText(id) === undefined && isRequestId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
