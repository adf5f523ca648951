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

type Codes = Omit<ErrorRow, 'help'>;
type Flags = Partial<Pick<Codes, 'legacyHttp' | 'retryable'>>;

/** Makes the rows of one fault, without their help. */
const rowsOf =
  (fault: Fault, retryable: boolean) =>
  (jsonRpc: number, http: number, flags: Flags = {}): Codes => ({ jsonRpc, http, fault, retryable, ...flags });

const caller = rowsOf('caller', false);
const upstream = rowsOf('upstream', true);
const gateway = rowsOf('gateway', true);

/** An error about a call and not about the HTTP exchange that carries it. */
const OF_CALL: Flags = { legacyHttp: 200 };
const FINAL: Flags = { retryable: false };

/** All error codes; docs/reference/errors.md is generated from this table. */
export const ERRORS = {
  parse_error: { ...caller(-32700, 400), help: 'The body is not JSON. Send one JSON-RPC message.' },
  invalid_request: {
    ...caller(-32600, 400),
    help: 'The JSON is not a JSON-RPC message that this endpoint takes. The error message names the rule that it breaks.',
  },
  invalid_params: {
    ...caller(-32602, 400, OF_CALL),
    help: 'A parameter is missing or has the wrong type. The error message names it.',
  },
  method_not_found: {
    ...caller(-32601, 404, OF_CALL),
    help: 'This endpoint has no such method, or the server behind it does not declare the method.',
  },
  unknown_target: {
    ...caller(-32602, 200),
    help: 'No server offers you a tool or prompt of this name. List again; the operator can ask `mcp-gateway servers`.',
  },
  resource_not_found: { ...caller(-32602, 200), help: 'No server offers you this resource. List again.' },
  unknown_task: {
    ...caller(-32602, 200),
    help: 'You have no task of this id: the gateway or the server has dropped it, another caller made it, or nobody did. Call the tool again.',
  },
  header_mismatch: {
    ...caller(-32020, 400, OF_CALL),
    help: 'A required header is missing, malformed or repeated, or it differs from the body. The error message names it.',
  },
  unsupported_version: {
    ...caller(-32022, 400, OF_CALL),
    help: 'The gateway does not speak this protocol version. `data.supported` lists the versions that it speaks.',
  },
  session_required: {
    ...caller(-32600, 400),
    help: 'The request needs a session, but names none. Send `initialize` first, then `Mcp-Session-Id` with every request.',
  },
  session_unknown: {
    ...caller(-33001, 404),
    help: 'The session has ended or never existed. Start a new one with `initialize`.',
  },
  body_too_large: { ...caller(-32600, 413), help: 'The request body is larger than `limits.body`.' },
  unsupported_media_type: {
    ...caller(-32600, 415),
    help: 'The body must be `application/json`, without a Content-Encoding.',
  },
  method_not_allowed: { ...caller(-32600, 405), help: 'The endpoint does not take this HTTP method.' },
  not_found: { ...caller(-32601, 404), help: 'There is no endpoint at this path, or no server of this name.' },
  forbidden_host: {
    ...caller(-33002, 403),
    help: 'The gateway does not answer to the name in the Host header. Add the name to `listen.allowedHosts`.',
  },
  forbidden_origin: {
    ...caller(-33003, 403),
    help: 'The gateway does not answer pages of this Origin. Add the Origin to `listen.allowedOrigins`.',
  },
  unauthenticated: {
    ...caller(-33004, 401),
    help: 'The caller sent no valid bearer token. The operator configures tokens under `auth.tokens`.',
  },
  control_key_required: {
    ...caller(-33030, 401),
    help: 'The gateway answers requests on its control socket only if the client proves that it has the key in `control.key` of the state directory. Use the `mcp-gateway` command as the user who runs the gateway. If somebody changed or removed the file, restart the gateway.',
  },
  forbidden_process: {
    ...caller(-33031, 403),
    help: 'Without tokens the gateway answers neither its own server processes nor a connection whose process it cannot find. Give the caller a token of its own under `auth.tokens`.',
  },
  cancelled: { ...caller(-33005, 200), help: 'The caller cancelled the call.' },
  too_many_sessions: {
    ...gateway(-33006, 503, OF_CALL),
    help: 'The caller uses all its sessions, and may have no more than are free for others (`limits.sessions`). End some with DELETE, or close their streams.',
  },
  overloaded: {
    ...gateway(-33007, 503, OF_CALL),
    help: 'A bounded queue is full. The error message names it. Try again shortly.',
  },
  audit_unavailable: {
    ...gateway(-33008, 503, OF_CALL),
    help: 'The gateway could not write the record of the call, so it refused the call, or withheld its answer. `/readyz` says why.',
  },
  shutting_down: { ...gateway(-33009, 503, OF_CALL), help: 'The gateway is stopping and takes no new calls.' },
  gateway_closed: {
    ...gateway(-33019, 503, { ...OF_CALL, ...FINAL }),
    help: 'The gateway ended while it served the call. The call may have taken effect.',
  },
  upstream_unreachable: {
    ...upstream(-33010, 200),
    help: 'The gateway cannot reach or start the server. `mcp-gateway servers NAME` shows why.',
  },
  upstream_closed: {
    ...upstream(-33011, 200, FINAL),
    help: 'The server went away during the call. The call may have taken effect.',
  },
  upstream_timed_out: {
    ...upstream(-33012, 200, FINAL),
    help: 'The server did not answer within its time limits (`timeouts`). The call may have taken effect.',
  },
  upstream_protocol: { ...upstream(-33013, 200, FINAL), help: 'The server answered with something that is not MCP.' },
  upstream_message_too_large: {
    ...upstream(-33014, 200, FINAL),
    help: 'The server sent a message over `limits.upstreamMessage` or `limits.items`.',
  },
  upstream_rejected: {
    ...upstream(-33015, 200, FINAL),
    help: 'The server refused the HTTP request, for example because of its credentials.',
  },
  upstream_failed: {
    ...upstream(-33016, 200, FINAL),
    help: 'The server answered with a failure of its own (HTTP 5xx). The call may have taken effect.',
  },
  question_undeclared: {
    ...caller(-32601, 200),
    help: 'The server asked a question of a kind that the caller did not declare in its capabilities.',
  },
  capability_required: {
    ...caller(-32021, 400),
    help: 'The server asks its callers a kind of question that this client does not declare. `data.requiredCapabilities` names the capability.',
  },
  question_unattributable: {
    ...gateway(-33017, 200),
    help: 'The server asked a question while several calls were running, and did not say which call it belongs to. The server gets this error instead of an answer.',
  },
  question_unanswered: {
    ...caller(-33020, 200),
    help: 'The client did not answer a question of the server within 10 minutes. Call again when it can answer.',
  },
  client_unreachable: {
    ...caller(-33018, 200),
    help: 'The server asked a question, but the client has no event stream open on which the gateway could send it.',
  },
  answer_too_large: {
    ...gateway(-33021, 200, FINAL),
    help: 'The gateway made the call, but the other answers of the batch left no room for its answer. Send fewer at a time.',
  },
  internal: {
    ...gateway(-32603, 500, { ...OF_CALL, ...FINAL }),
    help: 'A bug in the gateway. The log has the cause under the same call id.',
  },
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
