// Writes replies, errors and refusals as JSON-RPC responses of either era.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { Era, Peer } from '../../core/call.ts';
import { ERRORS, GatewayError, toGatewayError } from '../../core/errors.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import type { FinalReply, ListReply, Offered, RpcError } from '../../core/reply.ts';
import type { Sink } from '../../gateway/pipeline.ts';
import { errorJson, errorText, type RequestId, resultText } from '../../protocol/mcp/frames.ts';
import { writeInSlices } from '../../protocol/mcp/json-writer.ts';
import { LIST_KEYS, META, SUPPORTED_VERSIONS } from '../../protocol/mcp/vocabulary.ts';
import type { Caller, Gateway } from '../../gateway/gateway.ts';

/** A JSON-RPC response, and the HTTP status that goes with it. */
export interface Answer {
  readonly text: string;
  readonly status: number;
  /** The same as bytes, if they exist already. */
  readonly parts?: readonly Buffer[];
}

export interface EncodeOptions {
  readonly id: RequestId;
  readonly era: Era;
  readonly server: Peer;
}

/** Makes the response to a request from its reply or its error. */
export function answerSink(options: EncodeOptions): Sink<Answer> {
  const { id, era } = options;
  return { end: (reply) => encodeReply(reply, options), fail: (error) => encodeError(id, error, era) };
}

/** HTTP statuses that 2026-07-28 prescribes for errors, also for those of a server (wire.md, Shapes across eras). */
const MODERN_STATUS: Readonly<Record<number, number>> = { [-32020]: 400, [-32021]: 400, [-32022]: 400, [-32601]: 404 };

/** Writes a reply of the pipeline; a large one in slices, so that other work runs in between. */
function encodeReply(reply: FinalReply, options: EncodeOptions): Answer | Promise<Answer> {
  const { id, era } = options;
  if (reply.origin && reply.origin.bytes > BOUNDS.slicedMessage) return encodeInSlices(reply, options);
  if (reply.kind === 'error') return { text: errorText(id, reply.error), status: errorStatus(reply.error.code, era) };
  if (reply.kind === 'list') return new ListAnswer(reply, options);
  return {
    text: resultText(id, era === 'modern' ? modernJson(reply.result, options.server) : JSON.stringify(reply.result)),
    status: 200,
  };
}

async function encodeInSlices(
  reply: Exclude<FinalReply, ListReply>,
  { id, era, server }: EncodeOptions,
): Promise<Answer> {
  if (reply.kind === 'error') {
    const json = await writeInSlices(reply.error as unknown as JsonValue);
    return { text: errorJson(id, json), status: errorStatus(reply.error.code, era) };
  }
  const result = era === 'modern' ? withServerInfo(reply.result, server) : reply.result;
  return { text: resultText(id, await writeInSlices(result)), status: 200 };
}

function errorStatus(code: number, era: Era): number {
  return era === 'modern' ? (MODERN_STATUS[code] ?? 200) : 200;
}

/** A modern result names the gateway as its server (basic/index, Per-response protocol fields). It has a `resultType`, so it is never empty. */
function modernJson(result: JsonObject, server: Peer): string {
  if (result._meta !== undefined) return JSON.stringify(withServerInfo(result, server));
  return `${JSON.stringify(result).slice(0, -1)},"_meta":${JSON.stringify({ [META.serverInfo]: server })}}`;
}

function withServerInfo(result: JsonObject, server: Peer): JsonObject {
  return { ...result, _meta: { ...(result._meta as JsonObject | undefined), [META.serverInfo]: { ...server } } };
}

/** The response with a list, whose entries are bytes already; `text` is for senders that cannot write bytes. */
class ListAnswer implements Answer {
  readonly status = 200;
  readonly parts: readonly Buffer[];

  constructor({ of, list, nextCursor, isPrivate }: ListReply, { id, era, server }: EncodeOptions) {
    const head = Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"${LIST_KEYS[of]}":`);
    const form = era === 'legacy' && of === 'tool' ? 'legacy' : 'modern';
    const entries = form === 'legacy' ? legacyTools : definitions;
    const end = () => listEnd(era === 'modern' ? { nextCursor, ...modernList(isPrivate, server) } : { nextCursor });
    // only the cursor depends on the caller: without one, all that follows the head is kept with the list
    const whole = `${form} in ${era}, ${isPrivate ? 'private' : 'public'}`;
    this.parts =
      nextCursor === undefined
        ? [head, list.bytes(whole, (offered) => entries(offered) + end())]
        : [head, list.bytes(form, entries), Buffer.from(end())];
  }

  get text(): string {
    return Buffer.concat(this.parts).toString();
  }
}

function modernList(isPrivate: boolean, server: Peer): JsonObject {
  return {
    resultType: 'complete',
    ttlMs: 0, // a change is in force at once, and listeners get a notification
    cacheScope: isPrivate ? 'private' : 'public',
    _meta: { [META.serverInfo]: { ...server } },
  };
}

/** What follows the entries of a list in its response. */
function listEnd(rest: JsonObject): string {
  const members = JSON.stringify(rest).slice(1);
  return members === '}' ? '}}' : `,${members}}`;
}

function definitions(entries: readonly Offered[]): string {
  return JSON.stringify(entries.map(({ definition }) => definition));
}

function legacyTools(entries: readonly Offered[]): string {
  return JSON.stringify(entries.map(({ definition, legacy = definition }) => legacy));
}

/** Writes an error. Without an id it belongs to no call, so it keeps its HTTP status in both eras. */
export function encodeError(id: RequestId | undefined, error: GatewayError, era: Era): Answer {
  const { http, legacyHttp } = ERRORS[error.code];
  const status = era === 'legacy' && id !== undefined ? (legacyHttp ?? http) : http;
  return { text: errorText(id, rpcErrorOf(error, era)), status };
}

function rpcErrorOf(error: GatewayError, era: Era): RpcError {
  const { jsonRpc, retryable } = ERRORS[error.code];
  const own = jsonRpc < -32768 || jsonRpc > -32000;
  const code = error.code === 'resource_not_found' && era === 'legacy' ? -32002 : jsonRpc;
  const data = { ...(own && { reason: error.code, retryable }), ...error.data };
  return { code, message: error.message, ...(Object.keys(data).length > 0 && { data }) };
}

/** The error for a version that the gateway does not speak (versioning, Protocol Version Negotiation). */
export function unsupportedVersion(requested: string): GatewayError {
  const quoted = requested.slice(0, BOUNDS.quotedName);
  return new GatewayError('unsupported_version', `The protocol version ${JSON.stringify(quoted)} is not spoken here.`, {
    data: { supported: SUPPORTED_VERSIONS, requested: quoted },
  });
}

/** The result of `server/discover`: the supported versions, and what the endpoint declares. */
export function discoverResult(
  declared: { capabilities: JsonObject; instructions?: string },
  server: Peer,
  scope: 'public' | 'private',
): JsonObject {
  // `logging` stays declared: callers that ask for a level do get log messages (server/utilities/logging, Capabilities)
  return {
    resultType: 'complete',
    supportedVersions: [...SUPPORTED_VERSIONS],
    capabilities: declared.capabilities,
    ...(declared.instructions !== undefined && { instructions: declared.instructions }),
    ttlMs: 0,
    cacheScope: scope,
    _meta: { [META.serverInfo]: { ...server } },
  };
}

export interface RefusedMessage {
  /** Undefined if the message has none, or it could not be read. */
  readonly id: RequestId | undefined;
  readonly era: Era;
  readonly caller: Caller;
}

/** Makes the answer from the thrown error, and records an event. */
export function refusedAnswer(gateway: Gateway, { id, era, caller }: RefusedMessage, thrown: unknown): Answer {
  const error = toGatewayError(thrown);
  if (error.code === 'internal') gateway.logger.error({ err: error.cause }, 'a request failed');
  gateway.refused(error, { address: caller.address, principal: caller.principal.id });
  return encodeError(id, error, era);
}
