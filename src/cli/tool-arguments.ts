// Reads the value of `--args`, a JSON object, and shows the position of the first fault in it.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';
import { UsageError } from './exit-codes.ts';
import { printable } from './output.ts';

const EXAMPLE = '\'{"key": "value"}\'';

/** Reads the value, and keeps the text of its numbers. Rejects with UsageError. */
export async function readToolArguments(json: string): Promise<JsonObject> {
  if (json.trim() === '') throw new UsageError(`--args is empty; write a JSON object, like ${EXAMPLE}.`);
  let value: JsonValue;
  try {
    value = parseStrict(json, { depth: BOUNDS.argumentDepth, uniqueKeys: true });
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'parse_error') throw error;
    throw new UsageError(`--args is not JSON${await whereFrom(json)}`);
  }
  if (!isObject(value)) throw new UsageError(`--args must be a JSON object, like ${EXAMPLE}.`);
  return value;
}

/** Describes the first fault, with its line and a caret. */
async function whereFrom(json: string): Promise<string> {
  const { parseDocument } = await import('../config/positions.ts'); // imports a package, so it loads only here
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
