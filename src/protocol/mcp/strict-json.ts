// The one parser for JSON of clients and servers: it bounds depth and items, refuses duplicate keys, and names the request that a broken answer is for.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../core/errors.ts';
import { endOfNumber, isNumeric, isObject, type JsonValue, staysSame } from '../../core/json.ts';
import { atOnce, inSlices, type Steps } from '../../core/slices.ts';
import { answeredId, type Frame, readFrame } from './frames.ts';
import { JsonReader } from './json-reader.ts';
import { identify, type JsonLimits, OverLimit } from './over-limit.ts';

export interface StrictOptions extends JsonLimits {
  /** Whether an object with a duplicate key is refused, since parsers differ in which one counts. */
  readonly uniqueKeys: boolean;
}

/** Parses JSON text at once. Throws `parse_error` where it is not JSON, `invalid_request` where it repeats a key, `OverLimit`. */
export function parseStrict(text: string, options: StrictOptions): JsonValue {
  const { deepest, items, members, isExact } = scan(text);
  if (!isExact && deepest <= options.depth && items <= (options.items ?? Infinity)) {
    const value = parse(text);
    // a duplicate key replaces a member, so that the value has fewer members than the text
    if (!options.uniqueKeys || membersOf(value) === members) return value;
  }
  return atOnce(readSteps(text, options));
}

/** Parses JSON text as `parseStrict` does; a long text in several turns of the event loop, and only then with a promise. */
export function readStrict(text: string, options: StrictOptions): JsonValue | Promise<JsonValue> {
  return text.length > BOUNDS.slicedMessage ? inSlices(readSteps(text, options)) : parseStrict(text, options);
}

function* readSteps(text: string, options: StrictOptions): Steps<JsonValue> {
  const reader = new JsonReader(text, options);
  try {
    const value = yield* reader.read();
    if (!options.uniqueKeys || reader.duplicate === undefined) return value;
  } catch (error) {
    if (error instanceof OverLimit) yield* identify(error, text);
    throw error;
  }
  const key = JSON.stringify(reader.duplicate.slice(0, BOUNDS.errorKey));
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
  if (Array.isArray(value)) for (const inner of value) members += membersOf(inner);
  else for (const key in value) members += 1 + membersOf(value[key]);
  return members;
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;

interface Scanned {
  /** The deepest nesting. */
  readonly deepest: number;
  /** At least as many as there are array elements and object members; more only by the empty arrays and objects. */
  readonly items: number;
  /** Object members. */
  readonly members: number;
  /** Whether JSON.parse would change something: a number that JavaScript cannot hold, or a key with an escape. */
  readonly isExact: boolean;
}

/** Looks at each character of a text once before it is parsed. It does not check that the text is JSON, which the parser does. */
function scan(text: string): Scanned {
  const { length } = text;
  let backslash = text.indexOf('\\');
  let depth = 0;
  let deepest = 0;
  let items = 0;
  let members = 0;
  let isExact = false;
  let stringFrom = 0;
  let stringTo = 0;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      stringFrom = at + 1;
      at = stringTo = closingQuote(text, stringFrom);
    } else if (isNumeric(code)) {
      const end = endOfNumber(text, at);
      isExact ||= !staysSame(text, at, end);
      at = end - 1;
    } else if (code === COMMA) {
      items++;
    } else if (code === COLON) {
      members++;
      if (backslash !== -1 && backslash < stringFrom) backslash = text.indexOf('\\', stringFrom);
      // JSON.parse of Node 24 can mistake such a key for an earlier one at this place: after {"\\":1}, {"\u0041":1}
      if (backslash !== -1 && backslash < stringTo) isExact = true;
    } else if (code === 123 || code === 91) {
      items++;
      if (++depth > deepest) deepest = depth;
    } else if (code === 125 || code === 93) depth--;
  }
  return { deepest, items, members, isExact };
}

/** The closing quote of the string that `from` is in; the end of the text where there is none. */
function closingQuote(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (before >= from && text.charCodeAt(before) === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return text.length;
}

/** The server that a message comes from, and its limit of array elements and object members in one message. */
export interface ServerLimits {
  readonly server: string;
  readonly maxItems: number;
}

/** An answer that is not MCP or over a limit. Its caller gets this error. */
export class BrokenAnswer extends GatewayError {
  /** The request that it answers. */
  readonly id: number;

  constructor(id: number, code: 'upstream_protocol' | 'upstream_message_too_large', message: string) {
    super(code, message);
    this.id = id;
  }
}

/**
 * Reads one message of a server; only a long one takes several turns of the event loop. Throws, or rejects with, GatewayError: `BrokenAnswer`
 * if the message shows which request it answers.
 */
export function readServerMessage(text: string, options: ServerLimits): Frame | Promise<Frame> {
  try {
    const value = readStrict(text, { depth: BOUNDS.upstreamDepth, items: options.maxItems, uniqueKeys: false });
    if (!(value instanceof Promise)) return frameOfServer(value, options);
    return value.then(
      (read) => frameOfServer(read, options),
      (error: unknown) => failMessage(error, options),
    );
  } catch (error) {
    return failMessage(error, options);
  }
}

function frameOfServer(value: JsonValue, { server }: ServerLimits): Frame {
  try {
    return readFrame(value);
  } catch (fault) {
    const id = isObject(value) && value.method === undefined ? answeredId(value.id) : undefined;
    if (typeof id !== 'number') throw fault;
    const message = `The server "${server}" answered with something that is not MCP: ${reasonOf(fault)}`;
    throw new BrokenAnswer(id, 'upstream_protocol', message);
  }
}

/** The error of a limit names the server. */
function failMessage(error: unknown, { server, maxItems }: ServerLimits): never {
  if (!(error instanceof OverLimit)) throw error;
  const { id, isAnswer, limit } = error;
  const what = isAnswer ? 'an answer' : 'a message';
  const [code, message] =
    limit === 'depth'
      ? ([
          'upstream_protocol',
          `that is nested deeper than ${BOUNDS.upstreamDepth} levels, which is the limit`,
        ] as const)
      : ([
          'upstream_message_too_large',
          `of more than ${maxItems} items, array elements and object members together (limits.items)`,
        ] as const);
  const text = `The server "${server}" sent ${what} ${message}.`;
  throw isAnswer && typeof id === 'number' ? new BrokenAnswer(id, code, text) : new GatewayError(code, text);
}
