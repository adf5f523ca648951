// One pass over the text of a message before anything is built of it: how deep it goes, how much is in it, and which message it is.

export interface ScanLimits {
  /** Deepest nesting of arrays and objects that is taken. */
  readonly depth: number;
  /** Most array elements and object members that are taken; absent where nothing bounds them. */
  readonly items?: number;
}

/** What was looked at since the start of the process, for tests that show that the work grows with the size and no faster. */
export const work = { scanned: 0, nodes: 0 };

const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const DOT = 46;
const COLON = 58;
const BACKSLASH = 92;

/** Integers of up to so many characters are the same in JavaScript; longer ones are compared. */
const SAFE_LENGTH = 15;
/** A number of more characters is never one that JavaScript writes the same way. */
export const LONGEST_NUMBER = 32;

/** Looks at each character once; may be run piece by piece. What is no JSON at all is left to the parser to refuse. */
export class JsonScan {
  readonly text: string;
  /** Array elements and object members. */
  items = 0;
  /** Object members alone. */
  members = 0;
  /** Whether something occurs that JSON.parse would change: a number that JavaScript cannot hold, or a key with an escape. */
  exact = false;
  /** The limit that is passed. */
  fault: 'depth' | 'items' | undefined;
  /** Whether the outermost object has a `method`, which an answer has not. */
  hasMethod = false;
  private readonly limits: ScanLimits;
  private at = 0;
  private depth = 0;
  private inString = false;
  /** The last string that was read, without its quotes. */
  private stringFrom = 0;
  private stringTo = 0;
  private stringEscaped = false;
  /** Where the number began that is being read. */
  private numberFrom = -1;
  /** Whether nothing has stood in the innermost array or object so far. */
  private empty = false;
  private idFrom = -1;
  private idTo = -1;
  private hasOutcome = false;

  constructor(text: string, limits: ScanLimits) {
    this.text = text;
    this.limits = limits;
  }

  /** The outermost `id` as it is written; undefined where none was found. */
  get idText(): string | undefined {
    return this.idFrom === -1 || this.idTo === -1 ? undefined : this.text.slice(this.idFrom, this.idTo).trim();
  }

  /** Looks at this many more characters; returns whether everything was seen, or everything that matters of a message over the limits. */
  run(characters: number): boolean {
    const { text } = this;
    const from = this.at;
    const end = Math.min(text.length, from + characters);
    let at = this.inString ? this.skipString(from, end) : from;
    while (at < end) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        if (this.numberFrom !== -1) this.endNumber(at);
        this.empty = false;
        this.stringFrom = at + 1;
        this.stringEscaped = false;
        at = this.skipString(at + 1, end);
        continue;
      }
      if (isNumeric(code)) {
        if (this.numberFrom === -1) this.numberFrom = at;
        this.empty = false;
      } else {
        if (this.numberFrom !== -1 && !isExponent(code)) this.endNumber(at);
        if (code > 32) this.structure(code, at);
        if (this.fault && this.isKnown) break;
      }
      at++;
    }
    if (at >= text.length && this.numberFrom !== -1) this.endNumber(text.length);
    work.scanned += at - from;
    this.at = at;
    return at >= text.length || (this.fault !== undefined && this.isKnown);
  }

  /** Goes to the end of the string that `at` is in; returns where it goes on. */
  private skipString(from: number, end: number): number {
    const { text } = this;
    let at = from;
    while (at < end) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.inString = false;
        this.stringTo = at;
        return at + 1;
      }
      if (code === BACKSLASH) {
        this.stringEscaped = true;
        at += 2;
      } else at++;
    }
    this.inString = true;
    return at;
  }

  /** Whether nothing that follows can tell more of which message this is. */
  private get isKnown(): boolean {
    return this.idTo !== -1 && (this.hasMethod || this.hasOutcome);
  }

  private structure(code: number, at: number): void {
    switch (code) {
      case COMMA:
        this.count();
        if (this.depth === 1) this.endId(at);
        break;
      case COLON:
        this.members++;
        // JSON.parse of Node 24 takes such a key for another one that it has met at this place before: after {"\\":1}, for {"\u0041":1}
        if (this.stringEscaped) this.exact = true;
        if (this.depth === 1) this.name(at);
        break;
      case 91: // [
      case 123: // {
        if (++this.depth > this.limits.depth) this.fault ??= 'depth';
        this.empty = true;
        break;
      case 93: // ]
      case 125: // }
        if (!this.empty) this.count();
        this.empty = false;
        if (this.depth === 1) this.endId(at);
        if (this.depth > 0) this.depth--;
        break;
      default:
        this.empty = false; // true, false, null
    }
  }

  private count(): void {
    if (++this.items > (this.limits.items ?? Infinity)) this.fault ??= 'items';
  }

  /** A member of the outermost object begins. */
  private name(at: number): void {
    const { text, stringFrom, stringTo } = this;
    const length = stringTo - stringFrom;
    if (length === 2 && text.startsWith('id', stringFrom)) {
      this.idFrom = at + 1;
      this.idTo = -1;
    } else if (length === 6 && text.startsWith('method', stringFrom)) this.hasMethod = true;
    else if (length === 6 && text.startsWith('result', stringFrom)) this.hasOutcome = true;
    else if (length === 5 && text.startsWith('error', stringFrom)) this.hasOutcome = true;
  }

  private endId(at: number): void {
    if (this.idFrom !== -1 && this.idTo === -1) this.idTo = at;
  }

  private endNumber(at: number): void {
    const from = this.numberFrom;
    this.numberFrom = -1;
    if (this.exact) return;
    this.exact = !staysSame(this.text, from, at);
  }
}

/** What a short text holds. There is one of it: read it before the next scan. */
const SHORT = { deepest: 0, members: 0, exact: false };

/**
 * The same for a text that is too short to hold too many items, in the way that is fastest for messages of a few hundred characters: most
 * messages are, and each is looked at. It does not tell which message it is.
 */
export function scanShort(text: string): Readonly<typeof SHORT> {
  const { length } = text;
  let backslash = text.indexOf('\\');
  let depth = 0;
  let deepest = 0;
  let members = 0;
  let exact = false;
  let stringFrom = 0;
  let stringTo = 0;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      stringFrom = at + 1;
      at = stringTo = closingQuote(text, stringFrom, backslash);
    } else if (isNumeric(code)) {
      const end = endOfNumber(text, at);
      exact ||= !staysSame(text, at, end);
      at = end - 1;
    } else if (code === COLON) {
      members++;
      if (backslash !== -1 && backslash < stringFrom) backslash = text.indexOf('\\', stringFrom);
      if (backslash !== -1 && backslash < stringTo) exact = true; // see `structure`
    } else if (code === 123 || code === 91) {
      if (++depth > deepest) deepest = depth;
    } else if (code === 125 || code === 93) depth--;
  }
  work.scanned += length;
  SHORT.deepest = deepest;
  SHORT.members = members;
  SHORT.exact = exact;
  return SHORT;
}

function endOfNumber(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && (isNumeric(text.charCodeAt(at)) || isExponent(text.charCodeAt(at)))) at++;
  return at;
}

/** The closing quote of a string, or the end of the text; `backslash` is where one may stand, or -1 where none does. */
function closingQuote(text: string, from: number, backslash: number): number {
  let end = text.indexOf('"', from);
  if (backslash === -1) return end === -1 ? text.length : end;
  while (end !== -1) {
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** Digits, and the sign and the point of a number. */
function isNumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || code === MINUS || code === DOT;
}

/** What may stand in a number besides: `e`, `E`, `+`. */
function isExponent(code: number): boolean {
  return code === 101 || code === 69 || code === 43;
}

/** Whether the number in this stretch of text is written the same again once it was a JavaScript number. */
function staysSame(text: string, from: number, to: number): boolean {
  const length = to - from;
  if (length > LONGEST_NUMBER) return false;
  if (length <= SAFE_LENGTH && text.charCodeAt(from) !== MINUS) {
    let at = from;
    while (at < to && text.charCodeAt(at) >= 48 && text.charCodeAt(at) <= 57) at++;
    if (at === to) return true;
  }
  const written = text.slice(from, to);
  return String(Number(written)) === written;
}
