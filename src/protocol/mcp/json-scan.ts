// Scans the text of a message before it is parsed: its depth, the number of its items, its id, and whether JSON.parse would change it.

export interface ScanLimits {
  /** The deepest nesting of arrays and objects that is accepted. */
  readonly depth: number;
  /** The most array elements and object members that are accepted; absent where nothing bounds them. */
  readonly items?: number;
}

/** The characters scanned and the values parsed or written since the start of the process, for tests that show that work is linear in the size. */
export const work = { scanned: 0, nodes: 0 };

const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const DOT = 46;
const COLON = 58;
const BACKSLASH = 92;

/** JavaScript holds integers of up to so many digits exactly; a longer number is compared. */
const SAFE_LENGTH = 15;
/** JavaScript never writes a number with more characters. */
export const LONGEST_NUMBER = 32;

/** Visits each character once, in one or several steps. It does not check that the text is JSON, which the parser does. */
export class JsonScan {
  readonly text: string;
  /** Array elements and object members. */
  items = 0;
  /** Object members alone. */
  members = 0;
  /** Whether JSON.parse would change something: a number that JavaScript cannot hold, or a key with an escape. */
  exact = false;
  /** The limit that the text exceeds. */
  fault: 'depth' | 'items' | undefined;
  /** Whether the outermost object has a `method`, which a response does not have. */
  hasMethod = false;
  private readonly limits: ScanLimits;
  private at = 0;
  private depth = 0;
  private inString = false;
  /** The range of the last string, without its quotes. */
  private stringFrom = 0;
  private stringTo = 0;
  private stringEscaped = false;
  /** The start of the current number; -1 outside of one. */
  private numberFrom = -1;
  /** Whether the innermost array or object is empty so far. */
  private empty = false;
  private idFrom = -1;
  private idTo = -1;
  private hasOutcome = false;

  constructor(text: string, limits: ScanLimits) {
    this.text = text;
    this.limits = limits;
  }

  /** The text of the outermost `id`; undefined where there is none. */
  get idText(): string | undefined {
    return this.idFrom === -1 || this.idTo === -1 ? undefined : this.text.slice(this.idFrom, this.idTo).trim();
  }

  /** Scans so many more characters; returns whether it is complete: at the end, or where a message over the limits is identified. */
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

  /** Skips to the end of the string that `from` is in; returns where the scan continues. */
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

  /** Whether the message is identified: its id is complete, and it is known to be a request or a response. */
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
        // JSON.parse of Node 24 can mistake such a key for an earlier one at this place: after {"\\":1}, {"\u0041":1}
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

  /** Notes the key of a member of the outermost object. */
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

/** The result of `scanShort`: one object, so that a scan allocates nothing. Read it before the next scan. */
const SHORT = { deepest: 0, members: 0, exact: false };

/**
 * Scans a text that is too short for too many items. It is the fastest way for messages of a few hundred characters, as most messages are.
 * It does not identify the message.
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

/** The closing quote of a string, or the end of the text; `backslash` is -1 where the text has no backslash from here on. */
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

/** Digits, minus sign and decimal point of a number. */
function isNumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || code === MINUS || code === DOT;
}

/** The other characters of a number: `e`, `E`, `+`. */
function isExponent(code: number): boolean {
  return code === 101 || code === 69 || code === 43;
}

/** Whether JavaScript writes the number in this range of the text with the same characters. */
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
