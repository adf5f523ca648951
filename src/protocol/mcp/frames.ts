// JSON-RPC frames: what a parsed value is, and how one is written.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { ERRORS, GatewayError, reasonOf } from '../../core/errors.ts';
import { exactText, isObject, type JsonObject, type JsonValue, notedKeys, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { membersText } from './json-writer.ts';

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
  /** Absent where the peer could not read the id of what it answers. */
  readonly id: RequestId | undefined;
  readonly result?: JsonObject;
  readonly error?: RpcError;
}

export type Frame = RequestFrame | NotificationFrame | ResponseFrame;

/** Longest id that is carried; an id is a handle, not a payload. */
const MAX_ID = 1024;

/** Tells whether a value can be a request id: a string, or an integer that survives JSON. Null is none (basic/index, Requests). */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' ? value.length <= MAX_ID : Number.isSafeInteger(value);
}

/** The id of a message that is otherwise refused, so that the error can be matched to it. */
export function idOf(value: JsonValue): RequestId | undefined {
  return isObject(value) && isRequestId(value.id) ? value.id : undefined;
}

const invalid = (why: string) => new GatewayError('invalid_request', why);

/** Reads one JSON-RPC message. Throws `invalid_request` naming the rule that it breaks. */
export function readFrame(value: JsonValue): Frame {
  if (Array.isArray(value)) throw invalid('Batches are not taken here; send one message at a time.');
  if (!isObject(value)) throw invalid('A JSON-RPC message is an object.');
  if (value.jsonrpc !== '2.0') throw invalid('`jsonrpc` must be "2.0".');
  const { id, method, params } = value;
  if (method === undefined) return readResponse(value);
  if (typeof method !== 'string' || method.length > 256)
    throw invalid('`method` must be a string of at most 256 characters.');
  if (params !== undefined && !isObject(params)) throw invalid('`params` must be an object.');
  if (params) requireFew('params', params);
  if (!('id' in value)) return { kind: 'notification', method, params: params ?? {} };
  if (!isRequestId(id)) throw invalid(idFault(id));
  return { kind: 'request', id, method, params: params ?? {} };
}

/** Why a value is no id: a number that comes back changed would answer nobody. */
function idFault(id: JsonValue | undefined): string {
  const text = exactText(id);
  if (text === undefined) return '`id` must be a string or an integer, not null.';
  return `\`id\` must be a string or an integer from -(2^53-1) to 2^53-1, written without fraction and exponent; ${text.slice(0, 64)} is none.`;
}

/** The request of ours that an answer names, which its sender may write in another way: 7.0 is 7. */
export function answeredId(id: JsonValue | undefined): RequestId | undefined {
  const plain = exactText(id) === undefined ? id : numberOf(id);
  return isRequestId(plain) ? plain : undefined;
}

/**
 * Reads one message of a client. What breaks the rules of an answer answers its question all the same, with an error: an error under its id
 * would be taken for the answer to a request of the client that has the same one. Throws as `readFrame`.
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

/** What the gateway itself writes into, and therefore copies, may not have so many members that this holds up everybody else. */
function requireFew(name: string, object: JsonObject): void {
  const { _meta } = object;
  const which = notedKeys(object) ? name : isObject(_meta) && notedKeys(_meta) ? `${name}._meta` : undefined;
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

/** A message as one line for every reader: some split at the line separators that JSON leaves as they are. */
export function oneLine(text: string): string {
  return text.includes('\u2028') || text.includes('\u2029')
    ? text.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
    : text;
}

/** Writes a request. */
export function requestText(id: RequestId, method: string, params: JsonObject): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":${membersText(params)}}`;
}

/** Writes a notification. */
export function notificationText(method: string, params: JsonObject): string {
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`;
}

/** Writes a result whose JSON is known already. */
export function resultText(id: RequestId, resultJson: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${resultJson}}`;
}

/** Writes an error; an id that could not be read is null (legacy) or absent (modern), both of which `undefined` means here. */
export function errorText(id: RequestId | undefined, error: RpcError): string {
  return errorJson(id, JSON.stringify(error));
}

/** The same, where the JSON of the error is known already. */
export function errorJson(id: RequestId | undefined, json: string): string {
  const head = id === undefined ? '{"jsonrpc":"2.0"' : `{"jsonrpc":"2.0","id":${JSON.stringify(id)}`;
  return `${head},"error":${json}}`;
}
