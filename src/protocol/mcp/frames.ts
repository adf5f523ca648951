// Reads JSON-RPC frames from parsed values, and writes them.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { ERRORS, GatewayError, reasonOf } from '../../core/errors.ts';
import {
  exactText,
  isObject,
  jsonOfMembers,
  type JsonObject,
  type JsonValue,
  notesOn,
  numberOf,
} from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { knownCapabilities } from './capabilities.ts';
import { isLogLevel, LOG_LEVELS, type LogLevel, META, readPeer } from './vocabulary.ts';

export type RequestId = string | number;

export interface RequestFrame {
  readonly kind: 'request';
  readonly id: RequestId;
  readonly method: string;
  readonly params: JsonObject;
}

export interface NotificationFrame {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: JsonObject;
}

export interface ResponseFrame {
  readonly kind: 'response';
  /** Undefined where the peer could not read the id of the request. */
  readonly id: RequestId | undefined;
  readonly result?: JsonObject;
  readonly error?: RpcError;
}

export type Frame = RequestFrame | NotificationFrame | ResponseFrame;

/** Tells whether a value is a request id: a string, or an integer that JavaScript can hold. Null is none (basic/index, Requests). */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' ? value.length <= BOUNDS.requestId : Number.isSafeInteger(value);
}

/** The id of a message that is refused, so that the error can name it. */
export function idOf(value: JsonValue): RequestId | undefined {
  return isObject(value) && isRequestId(value.id) ? value.id : undefined;
}

const invalid = (why: string) => new GatewayError('invalid_request', why);

/** Reads one JSON-RPC message. Throws `invalid_request` with the rule that the message breaks. */
export function readFrame(value: JsonValue): Frame {
  if (Array.isArray(value)) throw invalid('Batches are not taken here; send one message at a time.');
  if (!isObject(value)) throw invalid('A JSON-RPC message is an object.');
  if (value.jsonrpc !== '2.0') throw invalid('`jsonrpc` must be "2.0".');
  const { id, method, params } = value;
  if (method === undefined) return readResponse(value);
  if (typeof method !== 'string' || method.length > BOUNDS.methodName)
    throw invalid(`\`method\` must be a string of at most ${BOUNDS.methodName} characters.`);
  if (params !== undefined && !isObject(params)) throw invalid('`params` must be an object.');
  if (params) requireFew('params', params);
  if (!('id' in value)) return { kind: 'notification', method, params: params ?? {} };
  if (!isRequestId(id)) throw invalid(idFault(id));
  return { kind: 'request', id, method, params: params ?? {} };
}

/** Why a value is not an id. An answer to a number that JavaScript changes would match no request. */
function idFault(id: JsonValue | undefined): string {
  const text = typeof id === 'number' ? String(id) : exactText(id);
  if (text === undefined) return `\`id\` must be a string or an integer${id === null ? ', not null' : ''}.`;
  return `\`id\` must be a string or an integer from -(2^53-1) to 2^53-1, written without fraction and exponent; ${text.slice(0, BOUNDS.errorKey)} is none.`;
}

/** The id of a response to one of our requests. The peer may write the number in another way: 7.0 is 7. */
export function answeredId(id: JsonValue | undefined): RequestId | undefined {
  const plain = exactText(id) === undefined ? id : numberOf(id);
  return isRequestId(plain) ? plain : undefined;
}

/**
 * Reads one message of a client. An invalid response becomes a response with an error, which answers the question: to send the client an
 * error with that id could answer a request of the client with the same id. Throws as `readFrame`.
 */
export function readClientFrame(value: JsonValue): Frame {
  try {
    return readFrame(value);
  } catch (fault) {
    const answers = isObject(value) && !('method' in value) && ('result' in value || 'error' in value);
    const id = answers ? answeredId(value.id) : undefined;
    if (id === undefined) throw fault;
    const message = `The client answered with something that is no answer: ${reasonOf(fault)}`;
    return { kind: 'response', id, error: { code: ERRORS.internal.jsonRpc, message } };
  }
}

/** Refuses objects that the gateway copies, to change members, if they have so many members that the copy would hold up other work. */
function requireFew(name: string, object: JsonObject): void {
  const { _meta } = object;
  const isLarge = (each: JsonObject) => notesOn(each)?.keys !== undefined;
  const which = isLarge(object) ? name : isObject(_meta) && isLarge(_meta) ? `${name}._meta` : undefined;
  if (which !== undefined) throw invalid(`\`${which}\` has more than ${BOUNDS.envelopeMembers} members of its own.`);
}

function readResponse(value: JsonObject): ResponseFrame {
  const { id, result } = value;
  const known = answeredId(id);
  if (id !== undefined && id !== null && known === undefined) throw invalid('`id` must be a string or an integer.');
  if (isObject(result) && value.error === undefined) {
    requireFew('result', result);
    return { kind: 'response', id: known, result };
  }
  const error = readError(value.error);
  if (error && result === undefined) return { kind: 'response', id: known, error };
  throw invalid(
    'A message has a `method`, or exactly one of `result` (an object) and `error` (with integer `code` and `message`).',
  );
}

function readError(value: JsonValue | undefined): RpcError | undefined {
  if (!isObject(value) || typeof value.message !== 'string') return undefined;
  const { message } = value;
  const code = numberOf(value.code);
  if (code === undefined || !Number.isInteger(code)) return undefined;
  return code === value.code ? (value as unknown as RpcError) : { ...value, code, message };
}

/** A message as one line for every reader: some also split lines at U+2028 and U+2029, which JSON does not escape. */
export function oneLine(text: string): string {
  return text.includes('\u2028') || text.includes('\u2029')
    ? text.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
    : text;
}

/** Writes a request. */
export function requestText(id: RequestId, method: string, params: JsonObject): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":${jsonOfMembers(params)}}`;
}

/** Writes a notification. */
export function notificationText(method: string, params: JsonObject): string {
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`;
}

/** Writes a result, given as JSON. */
export function resultText(id: RequestId, resultJson: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${resultJson}}`;
}

/** Writes an error. With an id of undefined the message has none, as for a request whose id could not be read. */
export function errorText(id: RequestId | undefined, error: RpcError): string {
  return errorJson(id, JSON.stringify(error));
}

/** Writes an error, given as JSON. */
export function errorJson(id: RequestId | undefined, json: string): string {
  const head = id === undefined ? '{"jsonrpc":"2.0"' : `{"jsonrpc":"2.0","id":${JSON.stringify(id)}`;
  return `${head},"error":${json}}`;
}

/** What a modern request says about its sender. */
export interface ModernMeta {
  readonly version: string;
  /** The capabilities that the gateway knows. */
  readonly capabilities: JsonObject;
  readonly client: { name: string; version: string } | undefined;
  readonly logLevel: LogLevel | undefined;
}

/** Reads the per-request fields of a modern request (basic/index, Per-request protocol fields). Throws `invalid_params`. */
export function readModernMeta(params: JsonObject): ModernMeta {
  const meta = params._meta;
  if (!isObject(meta)) throw missing(META.version);
  const version = meta[META.version];
  const capabilities = meta[META.clientCapabilities];
  const level = meta[META.logLevel];
  if (typeof version !== 'string') throw missing(META.version);
  if (!isObject(capabilities)) throw missing(META.clientCapabilities);
  if (level !== undefined && !isLogLevel(level)) {
    throw new GatewayError('invalid_params', `\`_meta["${META.logLevel}"]\` must be one of ${LOG_LEVELS.join(', ')}.`);
  }
  const client = readPeer(meta[META.clientInfo]);
  return {
    version,
    capabilities: knownCapabilities(capabilities),
    client,
    logLevel: level,
  };
}

const missing = (key: string) =>
  new GatewayError('invalid_params', `\`params._meta["${key}"]\` is required on every request of 2026-07-28.`);
