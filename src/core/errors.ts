// The one error of the gateway, and the one table of error codes with their meaning in every protocol.
import { BOUNDS } from './bounds/bounds.ts';

/** Who caused an error: decides who should act, and the status in the audit record. */
export type Fault = 'caller' | 'gateway' | 'upstream';

/** The meaning of one code in every protocol. */
export interface ErrorRow {
  /** JSON-RPC code. Our own lie outside -32768…-32000 (2026-07-28 basic/index, Error Codes). */
  readonly jsonRpc: number;
  /** HTTP status when the error is the whole HTTP response. MCP refusals are 200 (wire.md, Refusals). */
  readonly http: number;
  /** The HTTP status for a legacy session instead: legacy SDKs take any other status for a broken transport (wire.md, Refusals). */
  readonly legacyHttp?: 200;
  readonly fault: Fault;
  readonly retryable: boolean;
  /** One line for the reference page: when the error occurs and what to do. */
  readonly help: string;
}

const row = (jsonRpc: number, http: number, rest: Omit<ErrorRow, 'jsonRpc' | 'http'>): ErrorRow => ({
  jsonRpc,
  http,
  ...rest,
});

/** The row of an error about a call and not about the HTTP exchange that carries it. */
const callRow = (...columns: Parameters<typeof row>): ErrorRow => ({ ...row(...columns), legacyHttp: 200 });

const caller = (help: string) => ({ fault: 'caller', retryable: false, help }) as const;
const upstream = (help: string, retryable = true) => ({ fault: 'upstream', retryable, help }) as const;
const gateway = (help: string, retryable = true) => ({ fault: 'gateway', retryable, help }) as const;

/** All error codes; docs/reference/errors.md is generated from this table. */
export const ERRORS = {
  parse_error: row(-32700, 400, caller('The body is not JSON. Send one JSON-RPC message.')),
  invalid_request: row(
    -32600,
    400,
    caller('The JSON is not a JSON-RPC message that this endpoint takes. The message says which rule it breaks.'),
  ),
  invalid_params: callRow(-32602, 400, caller('A parameter is missing or has the wrong type. The message names it.')),
  method_not_found: callRow(
    -32601,
    404,
    caller('The method does not exist here, or the server behind it does not declare it.'),
  ),
  unknown_target: row(
    -32602,
    200,
    caller('No tool or prompt of this name is offered to you. List again; the operator can ask `mcp-gateway servers`.'),
  ),
  resource_not_found: row(-32602, 200, caller('No server offers this resource to you. List again.')),
  unknown_task: row(
    -32602,
    200,
    caller(
      'There is no such task: its time is over, it belongs to somebody else, or it never was. Call the tool anew.',
    ),
  ),
  header_mismatch: callRow(
    -32020,
    400,
    caller('A required header is missing, malformed, repeated, or differs from the body.'),
  ),
  unsupported_version: callRow(
    -32022,
    400,
    caller('The protocol version is not spoken here. `data.supported` lists those that are.'),
  ),
  session_required: row(
    -32600,
    400,
    caller('The request belongs to a session, but names none. Send `initialize` first, then `Mcp-Session-Id`.'),
  ),
  session_unknown: row(-33001, 404, caller('The session has ended or never was. Start a new one with `initialize`.')),
  body_too_large: row(-32600, 413, caller('The request body is over `limits.body`.')),
  unsupported_media_type: row(-32600, 415, caller('The body must be `application/json`.')),
  method_not_allowed: row(-32600, 405, caller('The endpoint does not take this HTTP method.')),
  not_found: row(-32601, 404, caller('There is no endpoint at this path, or no server of this name.')),
  forbidden_host: row(
    -33002,
    403,
    caller('The Host header is not one that this gateway answers to. Add it to `listen.allowedHosts`.'),
  ),
  forbidden_origin: row(-33003, 403, caller('The Origin header is not allowed. Add it to `listen.allowedOrigins`.')),
  unauthenticated: row(
    -33004,
    401,
    caller('A valid bearer token is required. Tokens are configured under `auth.tokens`.'),
  ),
  control_key_required: row(
    -33030,
    401,
    caller(
      'The control socket answers only requests that prove the key in `control.key` of the state directory. Use the `mcp-gateway` command as the user who runs the gateway; if the file was changed or removed, restart the gateway.',
    ),
  ),
  forbidden_process: row(
    -33031,
    403,
    caller(
      'Without tokens the gateway does not answer its own server processes, nor a connection of which it cannot find the process. Give the caller a token of its own under `auth.tokens`.',
    ),
  ),
  cancelled: row(-33005, 200, caller('The caller cancelled the call.')),
  too_many_sessions: callRow(
    -33006,
    503,
    gateway(
      'The caller has as many sessions in use as are free for others (`limits.sessions`). Close some with DELETE, or their streams.',
    ),
  ),
  overloaded: callRow(-33007, 503, gateway('A bounded queue is full. Try again shortly.')),
  audit_unavailable: callRow(
    -33008,
    503,
    gateway('The record of the call could not be written, so the call was refused. See `/readyz`.'),
  ),
  shutting_down: callRow(-33009, 503, gateway('The gateway is stopping and takes no new calls.')),
  gateway_closed: callRow(
    -33019,
    503,
    gateway('The gateway that was serving the call ended. Whether the call took effect is not known.', false),
  ),
  upstream_unreachable: row(
    -33010,
    200,
    upstream('The server cannot be reached or did not start. `mcp-gateway servers NAME` shows why.'),
  ),
  upstream_closed: row(
    -33011,
    200,
    upstream('The server went away during the call. Whether the call took effect is not known.', false),
  ),
  upstream_timed_out: row(
    -33012,
    200,
    upstream(
      'The server did not answer within its time limits (`timeouts`). Whether the call took effect is not known.',
      false,
    ),
  ),
  upstream_protocol: row(-33013, 200, upstream('The server answered with something that is not MCP.', false)),
  upstream_message_too_large: row(
    -33014,
    200,
    upstream('The server sent a message over `limits.upstreamMessage` or `limits.items`.', false),
  ),
  upstream_rejected: row(
    -33015,
    200,
    upstream('The server refused the HTTP request, for example its credentials.', false),
  ),
  upstream_failed: row(
    -33016,
    200,
    upstream(
      'The server answered with a failure of its own (HTTP 5xx). Whether the call took effect is not known.',
      false,
    ),
  ),
  question_undeclared: row(
    -32601,
    200,
    caller('The server asked something that the caller did not declare that it can answer.'),
  ),
  capability_required: row(
    -32021,
    400,
    caller(
      'The server asks its callers something that this client does not declare support for. `data.requiredCapabilities` names it.',
    ),
  ),
  question_unattributable: row(
    -33017,
    200,
    gateway(
      'The server asked while several calls were running, and did not say for which: it gets this error instead of an answer.',
    ),
  ),
  question_unanswered: row(
    -33020,
    200,
    caller(
      'The server asked something of a client that did not answer within 10 minutes. Call again when it can answer.',
    ),
  ),
  client_unreachable: row(
    -33018,
    200,
    caller('The server asked something of a client that has no event stream open on which it could be asked.'),
  ),
  answer_too_large: row(
    -33021,
    200,
    gateway(
      'The answers to the other messages of a batch left no room for this one, though the call was made. Send fewer at a time.',
      false,
    ),
  ),
  internal: callRow(-32603, 500, gateway('A bug in the gateway. The log has the cause under the same call id.', false)),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorOptions {
  readonly cause?: unknown;
  /** The caller gets this as `error.data`, so it must not have secrets. */
  readonly data?: Record<string, unknown>;
  /** For the operator only: the log, events and the errors of a server have it. */
  readonly detail?: string | undefined;
}

/** An error with a code of the table, and a message that is safe for the caller. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly data: Record<string, unknown> | undefined;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.data = options.data;
    this.detail = options.detail;
  }
}

/** The one answer to a task id without a task for this caller. It is the same for every reason, so that it does not reveal a task (wire.md, Refusals). */
export function unknownTask(options: Pick<ErrorOptions, 'detail'> = {}): GatewayError {
  return new GatewayError('unknown_task', 'There is no such task.', options);
}

/** Makes a GatewayError of any thrown value. Any other error is a bug of the gateway, and its message does not go to the caller. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError('internal', 'The gateway failed on this request; its log has the cause.', { cause: thrown });
}

/** The part of a client's or server's text that a message repeats. */
export function excerpt(sent: string): string {
  return sent.length <= BOUNDS.errorExcerpt ? sent : sent.slice(0, BOUNDS.errorExcerpt);
}

/** The part of an error that only the operator reads; undefined where it has none. */
export function detailOf(thrown: unknown): string | undefined {
  return thrown instanceof GatewayError ? thrown.detail : undefined;
}

/** The text of an error for the operator: the message that callers get, and the detail that they do not get. */
export function forOperator(reason: string, detail: string | undefined): string {
  return detail === undefined ? reason : `${reason} ${detail}`;
}

/** The text of any thrown value, as a part of another message. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
