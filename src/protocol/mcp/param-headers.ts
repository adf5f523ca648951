// `x-mcp-header`: tool parameters that `Mcp-Param-*` headers mirror (streamable-http, Custom Headers from Tool Parameters).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { exactText, isObject, type JsonObject, type JsonValue, numberOf } from '../../core/json.ts';
import { GatewayError } from '../../core/errors.ts';
import { isUtf8 } from 'node:buffer';

/** One mirrored parameter: its path in the arguments, and its header in lower case. */
export interface MirroredParam {
  readonly header: string;
  readonly path: readonly string[];
  readonly type: 'string' | 'integer' | 'boolean';
}

export type MirroredParams =
  { readonly ok: true; readonly params: readonly MirroredParam[] } | { readonly ok: false; readonly reason: string };

export const PARAM_PREFIX = 'mcp-param-';
const TCHAR = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const DECIMAL = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** Reads the annotations of a tool's input schema; one invalid annotation makes the whole tool invalid. */
export function readMirroredParams(schema: unknown): MirroredParams {
  const params: MirroredParam[] = [];
  const seen = new Set<string>();
  let nodes = 0;

  const visit = (node: JsonValue | undefined, path: readonly string[], reachable: boolean): string | undefined => {
    if (++nodes > BOUNDS.inputSchemaNodes) return `the schema has more than ${BOUNDS.inputSchemaNodes} nodes`;
    if (Array.isArray(node)) return firstOf(node, (item) => visit(item, path, false));
    if (!isObject(node)) return undefined;
    if ('x-mcp-header' in node) {
      const problem =
        reachable && path.length > 0
          ? accept(node, path)
          : 'an x-mcp-header stands where arguments cannot be reached by properties alone';
      if (problem) return problem;
    }
    return firstOf(Object.keys(node), (key) => {
      const child = node[key];
      if (key !== 'properties' || !isObject(child) || !reachable) return visit(child, path, false);
      return firstOf(Object.keys(child), (name) => visit(child[name], [...path, name], true));
    });
  };

  const accept = (node: JsonObject, path: readonly string[]): string | undefined => {
    const name = node['x-mcp-header'];
    const type = node.type;
    if (typeof name !== 'string' || !TCHAR.test(name))
      return `x-mcp-header ${JSON.stringify(name)} is not a header name`;
    const header = PARAM_PREFIX + name.toLowerCase();
    if (seen.has(header)) return `x-mcp-header "${name}" stands twice`;
    if (type !== 'string' && type !== 'integer' && type !== 'boolean')
      return `x-mcp-header "${name}" is on a parameter that is not a string, integer or boolean`;
    seen.add(header);
    params.push({ header, path, type });
    return undefined;
  };

  const problem = visit(isObject(schema) ? schema : {}, [], true);
  return problem === undefined ? { ok: true, params } : { ok: false, reason: problem };
}

function firstOf<T>(items: readonly T[], test: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = test(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function valueAt(args: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = args;
  for (const key of path) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

/** The headers that mirror these arguments; a null or absent value has none. */
export function mirrorArguments(params: readonly MirroredParam[], args: JsonObject): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { header, path } of params) {
    const value = valueAt(args, path);
    const text = exactText(value);
    if (text !== undefined) headers[header] = encodeHeaderValue(text);
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      headers[header] = encodeHeaderValue(String(value));
  }
  return headers;
}

/** The `Mcp-Param-*` headers of a request. */
export function paramHeadersIn(headers: Readonly<Record<string, string | string[] | undefined>>): ParamHeaders {
  let found: Record<string, string> | undefined;
  for (const header in headers) if (header.startsWith(PARAM_PREFIX)) (found ??= {})[header] = String(headers[header]);
  return found ?? NO_HEADERS;
}

export type ParamHeaders = Readonly<Record<string, string>>;
const NO_HEADERS: ParamHeaders = Object.freeze({});

/**
 * Checks the headers that the schema names, and returns the others: an intermediary forwards headers that it does not recognize
 * (streamable-http, Server Behavior for Custom Headers). Throws `header_mismatch`.
 */
export function checkParamHeaders(
  headers: ParamHeaders,
  known: readonly MirroredParam[],
  args: JsonObject,
): ParamHeaders | undefined {
  const problem = mismatchOf(known, args, headers);
  if (problem !== undefined) throw new GatewayError('header_mismatch', `Header mismatch: ${problem}`);
  if (headers === NO_HEADERS) return undefined;
  const forwarded = Object.entries(headers).filter(([header]) => !known.some((param) => param.header === header));
  const tooMuch =
    forwarded.length > BOUNDS.forwardedHeaders
      ? forwarded[BOUNDS.forwardedHeaders]
      : forwarded.find(([, value]) => value.length > BOUNDS.forwardedHeaderValue);
  if (tooMuch) throw new GatewayError('header_mismatch', `Header mismatch: ${tooMuch[0]} is more than is forwarded.`);
  return forwarded.length === 0 ? undefined : Object.fromEntries(forwarded);
}

/** Compares the headers of a request with its arguments; returns the mismatch, or undefined. */
function mismatchOf(params: readonly MirroredParam[], args: JsonObject, headers: ParamHeaders): string | undefined {
  return firstOf(params, ({ header, path }) => {
    const value = valueAt(args, path);
    const sent = headers[header];
    if (value === undefined || value === null)
      return sent === undefined ? undefined : `${header} is present, but the argument is not`;
    if (sent === undefined) return `${header} is missing`;
    const decoded = decodeHeaderValue(sent);
    if (decoded === undefined) return `${header} has characters that a header cannot carry`;
    return same(value, decoded) ? undefined : `${header} differs from the argument`;
  });
}

/** Whether header and body have the same value. The server checks that the value fits its schema. */
function same(value: JsonValue, sent: string): boolean {
  if (exactText(value) === sent) return true;
  const number = numberOf(value);
  if (number !== undefined) return DECIMAL.test(sent) && Number(sent) === number; // 42.0 equals 42
  return (typeof value === 'string' || typeof value === 'boolean') && String(value) === sent;
}

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
