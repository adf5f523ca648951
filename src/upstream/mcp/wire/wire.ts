// The interface between a transport and the protocol above it: one JSON-RPC channel to one server.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { Timeouts } from '../../../config/config.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { ClientSession, Exchange, Question, QuestionAnswer } from '../../../core/exchange.ts';
import type { Transport } from '../../../core/call.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { RpcError } from '../../../core/reply.ts';
import type { ResponseFrame } from '../../../protocol/mcp/frames.ts';
import type { Redaction } from '../redaction.ts';
import type { Deadlines, Limit } from './pending.ts';

export interface WireRequest {
  readonly method: string;
  /** The params with `_meta`, but without a progress token: the wire adds its own. */
  readonly params: JsonObject;
  /** HTTP headers beyond the transport's own; ignored by stdio. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The caller; absent on the gateway's own requests. */
  readonly exchange?: Exchange | undefined;
  /** The caller's session, which is notified of what outlives the call. */
  readonly session?: ClientSession | undefined;
  /** The principal of the caller; absent on the gateway's own requests. */
  readonly principal?: string | undefined;
  /** The server's task whose end the request waits for: notifications about the task go to this request. */
  readonly task?: string | undefined;
  /** Whether the gateway keeps the task: then the server's requests about it go to the followers of the task, not to this request. */
  readonly keptTask?: true | undefined;
  /** Total limit in ms; `Infinity` for a stream that stays open. */
  readonly totalMs: number;
  /** Whether `totalMs` is `timeouts.start`, and not the limit of a call. */
  readonly starts?: true | undefined;
  /** Receives the notifications of this request other than progress and log lines. */
  readonly onNotification?: ((method: string, params: JsonObject) => void) | undefined;
}

/** What the server answered. A JSON-RPC error is an answer, not a failure. */
export interface WireReply {
  readonly result?: JsonObject | undefined;
  readonly error?: RpcError | undefined;
  readonly bytes: number;
}

/** A request of a server to a caller, and the call that the wire attributes it to. */
export interface ServerRequest extends Question {
  /** The call on whose stream it came, or the calls of the only owner; absent if there is none such. */
  readonly exchange: Pick<Exchange, 'ask' | 'notify'> | undefined;
  /** The session of that call. */
  readonly session?: ClientSession | undefined;
  /** Calls the listener when that call ends, or the last of them. Returns the function that removes the listener. */
  readonly onCallEnd?: (listener: () => void) => (() => void) | undefined;
  /** The server's task that the request names. */
  readonly serverTask: string | undefined;
  /** Calls in flight when it came. */
  readonly inFlight: number;
}

/** What a wire reports to its owner. */
export interface WireEvents {
  /** A notification that belongs to no request. */
  notification(method: string, params: JsonObject): void;
  /** The channel is closed, and every pending request has failed. `detail` is for the operator alone. */
  closed(reason: string, detail?: string): void;
  /** Notifications may have been lost, so what they report has to be read again. */
  missed(): void;
  /** Whether all calls are of one owner. */
  readonly isOwned?: boolean;
  /** Whether the owner of the instance answers a request that the server sends outside the stream of a call, whatever calls run. If absent, the only owner with calls there answers. */
  isForOwner?(method: string): boolean;
  /** The server sends a request other than `ping`. Throws GatewayError, which the server gets as an error. */
  serverRequest(request: ServerRequest): Promise<QuestionAnswer>;
  /** A log line that belongs to no single caller. */
  log(params: JsonObject): void;
  /** A line for the operator: the server sent something that is not MCP, or too much. */
  diagnostic(text: string): void;
}

/** What every wire knows of its server, and whom it reports to. */
export interface WireOptions {
  readonly server: string;
  readonly timeouts: Timeouts;
  readonly maxMessageBytes: number;
  /** Most array elements and object members of one message. */
  readonly maxItems: number;
  readonly deadlines: Deadlines;
  readonly redaction: Redaction;
  readonly events: WireEvents;
}

export interface Wire {
  readonly transport: Transport;
  /** Whether the server assigned a session id. */
  readonly stateful: boolean;
  /** Opens the transport; absent if each request opens its own. Throws GatewayError. */
  start?(): Promise<void>;
  /** Sends a request and waits for its answer. Throws GatewayError (`upstream_*`, `cancelled`) or SessionLost. */
  request(request: WireRequest): Promise<WireReply>;
  notify(method: string, params: JsonObject): Promise<void>;
  /** Sets what the handshake found. */
  adopt(session: { era: 'legacy' | 'modern'; version: string }): void;
  /** The server refused a probe with this method; what it wrote to stderr about that does not interest the operator. */
  refusedProbe?(method: string): void;
  /** Takes no new requests; those in flight may still be answered. For a server that has forgotten the session. */
  retire(): Promise<void>;
  /** Cancels the requests in flight and closes the channel; the last messages have `BOUNDS.upstreamFlush` to reach the server. */
  close(): Promise<void>;
}

/** The error of a message over a limit; `dropped` is how much of it came, in bytes. */
export function tooLarge(
  server: string,
  { maxBytes, maxLines, dropped }: { maxBytes?: number; maxLines?: number; dropped?: number },
): GatewayError {
  const what =
    maxLines === undefined
      ? `a message of more than ${maxBytes ?? 0} bytes (limits.upstreamMessage)`
      : `an event of more than ${maxLines} lines, where a message is one`;
  const rest = dropped === undefined ? '' : `; ${dropped} bytes were dropped`;
  return new GatewayError('upstream_message_too_large', `The server "${server}" sent ${what}${rest}.`);
}

/** The error of a request on a channel that the gateway closes. */
export function closed(server: string): GatewayError {
  return new GatewayError('upstream_closed', `The connection to "${server}" was closed.`);
}

/** The error of a request beyond the most that one server may have in flight. */
export function tooManyRequests(server: string): GatewayError {
  const message = `The server "${server}" has ${BOUNDS.upstreamRequests} requests in flight; try again shortly.`;
  return new GatewayError('overloaded', message);
}

/** The server no longer knows our session: the request was not processed and may be sent again (wire.md, Retrying). */
export class SessionLost extends Error {
  override readonly name = 'SessionLost';
}

interface RejectionFacts {
  readonly answer: ResponseFrame | undefined;
  readonly wantsSignIn?: boolean;
}

/** The server refused with an HTTP status. The handshake reads it; calls get a GatewayError or the JSON-RPC error in its body. */
export class HttpRejection extends Error {
  override readonly name = 'HttpRejection';
  readonly status: number;
  readonly body: string;
  /** The JSON-RPC error in the body, if there is one. */
  readonly answer: ResponseFrame | undefined;
  /** Whether the server asks for a sign-in by OAuth (RFC 9728 section 5.1). */
  readonly wantsSignIn: boolean;

  constructor(status: number, body: string, { answer, wantsSignIn = false }: RejectionFacts) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.answer = answer;
    this.wantsSignIn = wantsSignIn;
  }
}

const PASSED = {
  connect: 'did not accept a connection',
  firstByte: 'did not begin to answer',
  idle: 'fell silent in the middle of its answer',
} as const;

/** The error of a limit that was passed, with the setting to change. `method` is the request that was not answered in time. */
export function timedOut(
  server: string,
  passed: { limit: Limit | 'connect' | 'start'; ms: number; method?: string },
  cause?: unknown,
): GatewayError {
  const { limit, ms, method = 'a request' } = passed;
  const what = limit === 'total' || limit === 'start' ? `did not answer ${method}` : PASSED[limit];
  return new GatewayError(
    'upstream_timed_out',
    `The server "${server}" ${what} within ${ms / 1000} s (timeouts.${limit}).`,
    cause === undefined ? {} : { cause },
  );
}
