// The border between a transport and the protocol above it: one JSON-RPC channel to one server.
import { GatewayError } from '../../../core/errors.ts';
import type { ClientSession, Exchange, Question, QuestionAnswer } from '../../../core/exchange.ts';
import type { Transport } from '../../../core/call.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { RpcError } from '../../../core/reply.ts';
import type { ResponseFrame } from '../../../protocol/mcp/frames.ts';

/** Time limits of a server in milliseconds. */
export interface Timeouts {
  /** From starting a process until it has answered the handshake. */
  readonly start: number;
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  /** How long a legacy process may leave a ping unanswered. */
  readonly ping: number;
  /** Of one call; progress restarts it, up to `BOUNDS.callDuration`. */
  readonly total: number;
}

export interface WireRequest {
  readonly method: string;
  /** Complete params, `_meta` included, but for the progress token, which is the wire's. */
  readonly params: JsonObject;
  /** HTTP headers beyond the transport's own; ignored by stdio. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The caller; absent on the gateway's own requests. */
  readonly exchange?: Exchange;
  /** The caller's session, which hears of what outlives the call. */
  readonly session?: ClientSession | undefined;
  /** The principal on whose behalf it is sent; absent on the gateway's own requests. */
  readonly principal?: string;
  /** The server's task whose end the request waits for: what the server tells of the task is told here. */
  readonly task?: string;
  /** Whether the task goes on without the request: then its questions are not the request's, but go wherever the task is kept. */
  readonly keptTask?: true;
  /** Total limit in ms; `Infinity` for a stream that stays open. */
  readonly totalMs: number;
  /** Whether `totalMs` is the limit of the start, `timeouts.start`, and not that of a call. */
  readonly starts?: true;
  /** Gets the notifications that belong to this request and are neither progress nor log lines. */
  readonly onNotification?: (method: string, params: JsonObject) => void;
}

/** What the server answered. A JSON-RPC error is an answer, not a failure. */
export interface WireReply {
  readonly result?: JsonObject;
  readonly error?: RpcError;
  readonly bytes: number;
}

/** A server's question, and what the wire knows of whose it is. */
export interface AskedQuestion extends Question {
  /** The call that it came with, or the only one in flight; absent where that cannot be told. */
  readonly exchange: Exchange | undefined;
  /** The session of that call. */
  readonly session?: ClientSession | undefined;
  /** Calls the listener when that call ends. Returns the way to stop listening. */
  readonly onCallEnd?: ((listener: () => void) => () => void) | undefined;
  /** The server's task that it says it belongs to. */
  readonly ofTask: string | undefined;
  /** Calls in flight when it was asked. */
  readonly inFlight: number;
}

/** What a wire reports without being asked. */
export interface WireEvents {
  /** A notification that belongs to no request. */
  notification(method: string, params: JsonObject): void;
  /** The channel is gone; every pending request has failed already. `detail` is for the operator alone. */
  closed(reason: string, detail?: string): void;
  /** Notifications may have been missed: what they would have told of has to be read again. */
  missed(): void;
  /** Whether a question outside the stream of any call is the owner's, whatever call runs; absent where it is that of the only call. */
  isOwners?(method: string): boolean;
  /** The server asks something other than `ping`. Throws GatewayError, which the server gets as an error. */
  question(asked: AskedQuestion): Promise<QuestionAnswer>;
  /** A log line that fits no single caller. */
  log(params: JsonObject): void;
  /** Something that is not MCP arrived, or more than is taken; told for the server's own log. */
  noise(what: string): void;
}

export interface Wire {
  readonly transport: Transport;
  /** Whether the server assigned a session id. */
  readonly stateful: boolean;
  /** Sends a request and waits for its answer. Throws GatewayError (`upstream_*`, `cancelled`) or SessionLost. */
  request(request: WireRequest): Promise<WireReply>;
  notify(method: string, params: JsonObject): Promise<void>;
  /** Tells the wire what the handshake found. */
  adopt(session: { era: 'legacy' | 'modern'; version: string }): void;
  /** The server refused a question of ours that it could not know: what it said of that is nobody's trouble. */
  refusedProbe?(method: string): void;
  /** Takes no new requests; those in flight may still get their answers. For a channel that is lost, not broken. */
  retire(): Promise<void>;
  /** Cancels what is in flight and ends the channel; what the server is told by then has `BOUNDS.upstreamFlush` to reach it. */
  close(): Promise<void>;
}

/** A server sent more than is taken; `dropped` is what had come of it, in bytes. */
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

/** Why nothing can be asked on a channel that the gateway itself closes. */
export function closed(server: string): GatewayError {
  return new GatewayError('upstream_closed', `The connection to "${server}" was closed.`);
}

/** The server no longer knows our session: the request was not processed and may be sent again (wire.md, Retrying). */
export class SessionLost extends Error {
  override readonly name = 'SessionLost';
}

interface RejectionFacts {
  readonly answer: ResponseFrame | undefined;
  readonly wantsSignIn?: boolean;
}

/** The server refused with an HTTP status; the handshake reads it, everyone else the GatewayError or the JSON-RPC error made of it. */
export class HttpRejection extends Error {
  override readonly name = 'HttpRejection';
  readonly status: number;
  readonly body: string;
  /** The JSON-RPC error that the body holds, if it holds one. */
  readonly answer: ResponseFrame | undefined;
  /** Whether the server says where to sign in by OAuth (RFC 9728 section 5.1). */
  readonly wantsSignIn: boolean;

  constructor(status: number, body: string, { answer, wantsSignIn = false }: RejectionFacts) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.answer = answer;
    this.wantsSignIn = wantsSignIn;
  }
}
