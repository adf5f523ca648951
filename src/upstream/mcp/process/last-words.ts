// Finds the line on stderr that says why a process ended; the last line often names only a log file or the runtime.
import { BOUNDS } from '../../../core/bounds/bounds.ts';

/** Lines that never name the cause. */
const IRRELEVANT: readonly RegExp[] = [
  /^npm (?:error|ERR!) A complete log of this run/u,
  /^npm (?:notice|warn|WARN)\b/u,
  /^npm (?:error|ERR!)\s*(?:\d{3}|[a-z]+)?$/u,
  /^Node\.js v\d/u,
  /^note: run with `RUST_BACKTRACE/u,
  /^exit status \d+$/u,
];

const NPM = /^npm (?:error|ERR!) /u;
/** The lines of single facts that npm prints before the cause. */
const NPM_FACT = /^npm (?:error|ERR!) (?:code|syscall|path|dest|errno|cwd|signal|command (?!failed)|type)\b/u;
/** A frame of a stack trace of JavaScript or the JVM. */
const FRAME = /^\s+at\s/u;
/** What follows a stack trace: properties of the error, and closing brackets. */
const AFTER_STACK = /^\s|^[}\])]+[;,]?$/u;
/** The first line of an error. */
const HEADER =
  /^(?:(?:error|fatal|panic): |Exception in thread |Caused by: |(?:Uncaught )?\[?[\w$.]*(?:Error|Exception|Warning)\b)/iu;
const TRACEBACK = /^(?<gutter>[\s|+]*)(?:Exception Group )?Traceback \(most recent call last\):$/u;
const GO_PANIC = /^(?:panic|fatal error): /u;
const GO_STACK = /^goroutine \d+ \[/u;

/** The line that most likely names the cause; undefined where there are no lines. */
export function lastWords(lines: readonly string[]): string | undefined {
  const relevant = lines.filter((line) => line.trim() !== '' && !IRRELEVANT.some((pattern) => pattern.test(line)));
  const line =
    ofNpm(relevant) ?? ofPython(relevant) ?? ofGo(relevant) ?? ofStack(relevant) ?? relevant.at(-1) ?? lines.at(-1);
  return line?.trim().slice(0, BOUNDS.exitCause);
}

/** The first line of npm's last report that is not a single fact. */
function ofNpm(lines: readonly string[]): string | undefined {
  if (!NPM.test(lines.at(-1) ?? '')) return undefined;
  const from = lines.findLastIndex((line) => !NPM.test(line)) + 1;
  return lines.slice(from).find((line) => !NPM_FACT.test(line));
}

/** The exception below the last traceback; of an exception group, the innermost. */
function ofPython(lines: readonly string[]): string | undefined {
  const at = lines.findLastIndex((line) => TRACEBACK.test(line));
  if (at === -1) return undefined;
  const gutter = (TRACEBACK.exec(lines[at] ?? '')?.groups?.gutter ?? '').replace('+', '|');
  const isOutermost = (line: string) => line.startsWith(gutter) && /^[^\s|+]/u.test(line.slice(gutter.length));
  const found = lines.findIndex((line, index) => index > at && isOutermost(line));
  if (found === -1 || lines.length - found > BOUNDS.exitCauseTraceback) return undefined;
  return lines[found]?.slice(gutter.length);
}

function ofGo(lines: readonly string[]): string | undefined {
  const stack = lines.findLastIndex((line) => GO_STACK.test(line));
  const panic = lines.slice(0, Math.max(0, stack)).findLast((line) => GO_PANIC.test(line));
  return stack === -1 ? undefined : panic;
}

/** The first line of the error message above the last stack trace. */
function ofStack(lines: readonly string[]): string | undefined {
  const last = lines.findLastIndex((line) => !AFTER_STACK.test(line));
  if (!lines.slice(last + 1).some((line) => FRAME.test(line))) return undefined;
  const message = lines.slice(Math.max(0, last + 1 - BOUNDS.exitCauseMessage), last + 1);
  return message.findLast((line) => HEADER.test(line)) ?? message.at(-1);
}
