// The value of `--args`: a JSON object, and where it is none, the place that is wrong.
import { isObject, type JsonObject } from '../core/json.ts';
import { parseDocument } from '../config/positions.ts';
import { UsageError } from './exit-codes.ts';
import { printable } from './output.ts';

const EXAMPLE = '\'{"key": "value"}\'';

/** Reads the value. Throws UsageError. */
export function readToolArguments(json: string): JsonObject {
  if (json.trim() === '') throw new UsageError(`--args is empty; write a JSON object, like ${EXAMPLE}.`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new UsageError(`--args is not JSON${whereFrom(json)}`);
  }
  if (!isObject(value)) throw new UsageError(`--args must be a JSON object, like ${EXAMPLE}.`);
  return value;
}

/** The first fault with its line and a caret; the whole of what was typed is shown, as it was typed here. */
function whereFrom(json: string): string {
  const [first] = parseDocument('--args', json).problems;
  if (first === undefined) return `: comments and trailing commas are not allowed in it, like ${EXAMPLE}.`;
  const { line, column, message } = first;
  const text = json.split('\n')[line - 1] ?? '';
  const from = Math.max(0, column - 1 - 50);
  const shown = printable(text.slice(from, from + 100)).replaceAll('\t', ' ');
  const place = json.includes('\n') ? `line ${line}, column ${column}` : `column ${column}`;
  const caret = `${' '.repeat(column - 1 - from)}^`;
  return ` at ${place}: ${message}\n  ${shown}\n  ${caret}\nWrite a JSON object, like ${EXAMPLE}.`;
}
