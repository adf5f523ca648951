// Encodes and decodes header values of the modern Streamable HTTP transport: with the Base64 sentinel where a header cannot carry them.
import { isUtf8 } from 'node:buffer';

const SENTINEL = /^=\?base64\?(.*)\?=$/s;
const UNSAFE = /[^ -~\t]|^[ \t]|[ \t]$|^$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Encodes a value for a header (streamable-http, Value Encoding). */
export function encodeHeaderValue(value: string): string {
  if (!UNSAFE.test(value) && !SENTINEL.test(value)) return value;
  return `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}

/** Decodes the value of a header; undefined where it is not a valid one. */
export function decodeHeaderValue(value: string): string | undefined {
  const encoded = SENTINEL.exec(value)?.[1];
  if (encoded === undefined) return value === '' || !UNSAFE.test(value) ? value : undefined;
  if (!BASE64.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}
