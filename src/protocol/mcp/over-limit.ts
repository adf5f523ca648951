// The limits of a message, the error for a message over one, and the search for the request that such a message is about.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError } from '../../core/errors.ts';
import { staysSame } from '../../core/json.ts';
import { STEP, type Steps } from '../../core/slices.ts';
import { isRequestId, type RequestId } from './frames.ts';

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;

export interface JsonLimits {
  /** The deepest nesting of arrays and objects that is accepted. */
  readonly depth: number;
  /** The most array elements and object members that are accepted; absent where nothing bounds them. */
  readonly items?: number;
}

/** A message over a limit. */
export class OverLimit extends GatewayError {
  readonly limit: 'depth' | 'items';
  /** The id of the message, so that the request which waits for it can fail; undefined where none is known. */
  id: RequestId | undefined;
  /** Whether it is a response. */
  isAnswer = true;

  constructor(limit: 'depth' | 'items', most: number) {
    const message =
      limit === 'depth'
        ? `The JSON is nested deeper than ${most} levels (limits.depth).`
        : `The JSON has more than ${most} items, array elements and object members together (limits.items).`;
    super('invalid_request', message);
    this.limit = limit;
  }
}

/**
 * Finds whose message is over a limit, wherever its id stands, and whether it is a response, which has no `method`. Ends as soon as both are
 * known.
 */
export function* identify(fault: OverLimit, text: string): Steps<void> {
  const envelope = new Envelope(text);
  let depth = 0;
  let stringFrom = -1;
  for (let at = 0, until = STEP; at < text.length && !envelope.isKnown; at++) {
    if (at >= until) {
      yield;
      until = at + STEP;
    }
    const code = text.charCodeAt(at);
    if (stringFrom !== -1) {
      if (code === BACKSLASH) at++;
      if (code !== QUOTE) continue;
      if (depth === 1) envelope.string = text.slice(stringFrom, at);
      stringFrom = -1;
    } else if (code === QUOTE) stringFrom = at + 1;
    else {
      if (depth === 1) envelope.see(code, at);
      if (code === 123 || code === 91) depth++;
      else if (code === 125 || code === 93) depth--;
    }
  }
  fault.id = envelope.id;
  fault.isAnswer = !envelope.hasMethod;
}

/** What the outermost object of a text says about its message. */
class Envelope {
  id: RequestId | undefined;
  hasMethod = false;
  /** The last string. */
  string = '';
  private readonly text: string;
  private idFrom = -1;
  private hasId = false;
  private hasOutcome = false;

  constructor(text: string) {
    this.text = text;
  }

  get isKnown(): boolean {
    return this.hasId && (this.hasMethod || this.hasOutcome);
  }

  /** Takes a character that is outside of strings. */
  see(code: number, at: number): void {
    if (code === COLON) {
      if (this.string === 'id') this.idFrom = at + 1;
      else if (this.string === 'method') this.hasMethod = true;
      else if (this.string === 'result' || this.string === 'error') this.hasOutcome = true;
    } else if (this.idFrom !== -1 && (code === COMMA || code === 125)) {
      this.id = idIn(this.text.slice(this.idFrom, at));
      this.idFrom = -1;
      this.hasId = true;
    }
  }
}

function idIn(text: string): RequestId | undefined {
  if (text.length > BOUNDS.refusedId) return undefined;
  try {
    const id: unknown = JSON.parse(text);
    const written = text.trim();
    return isRequestId(id) && (typeof id === 'string' || staysSame(written, 0, written.length)) ? id : undefined;
  } catch {
    return undefined;
  }
}
