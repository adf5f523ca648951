// Translates failures of HTTP into errors of calls.
import type { Timeouts } from '../../../config/config.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { type ErrorCode, GatewayError, reasonOf } from '../../../core/errors.ts';
import { HttpRejection, SessionLost, timedOut } from './wire.ts';

const TIMED_OUT: Readonly<Record<string, 'connect' | 'firstByte' | 'idle'>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  UND_ERR_HEADERS_TIMEOUT: 'firstByte',
  UND_ERR_BODY_TIMEOUT: 'idle',
};

/** Failures to connect: the request did not reach the server. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** The codes of OpenSSL for first bytes that are not TLS. */
const NO_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);
const SPEAKS_NO_TLS =
  'its `url` says https, but what answers there speaks no TLS. It most likely answers plain HTTP; write http:// in the `url`.';

/** The GatewayError of a failure, which names the server and the setting to change. */
export function transportError(server: string, error: unknown, timeouts: Timeouts): GatewayError {
  if (error instanceof GatewayError) return error;
  if (error instanceof HttpRejection) return rejectionError(server, error);
  const code = codeOf(error);
  const limit = TIMED_OUT[code];
  if (limit) return timedOut(server, { limit, ms: timeouts[limit] }, error);
  const tls = code.startsWith('ERR_TLS') || code.includes('CERT') || code.startsWith('ERR_SSL');
  if (UNREACHABLE.has(code) || tls) {
    const why = NO_TLS.has(code) ? SPEAKS_NO_TLS : opensslReason(error);
    return new GatewayError('upstream_unreachable', `The server "${server}" cannot be reached: ${why}`, {
      cause: error,
    });
  }
  return new GatewayError(
    'upstream_closed',
    `The server "${server}" closed the connection during the call: ${reasonOf(error)}`,
    { cause: error },
  );
}

/** Whether the gateway could not connect: it sent nothing, and the next request will most likely fail too. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'upstream_unreachable' && UNREACHABLE.has(codeOf(error.cause));
}

/** Whether a status is about credentials, load or failures, and shows nothing about the era of the server (wire.md, Probing an upstream). */
export function isInconclusive(status: number): boolean {
  return status >= 500 || [401, 403, 407, 408, 429].includes(status);
}

/** Whether a refusal means that the server has forgotten the session: 404 in the specification, 400 in examples that many servers copied. */
export function isSessionUnknown({ status, body, answer }: HttpRejection): boolean {
  if (status === 404) return true;
  return status === 400 && answer?.id === undefined && /session/i.test(answer?.error?.message ?? body);
}

/** The error of a message that could not be delivered: `SessionLost` if the server has forgotten the session. */
export function messageError(server: string, error: unknown): unknown {
  const cause = error instanceof GatewayError ? error.cause : undefined;
  if (!(cause instanceof HttpRejection) || !isSessionUnknown(cause)) return error;
  return new SessionLost(`The server "${server}" no longer knows the session.`);
}

function rejectionError(server: string, rejection: HttpRejection): GatewayError {
  const { status, wantsSignIn } = rejection;
  const text = rejection.body.replace(/\s+/gu, ' ').trim().slice(0, BOUNDS.quotedOutput);
  const detail = text === '' ? undefined : `It said: ${text}`;
  const isRefused = wantsSignIn || status === 401 || status === 403 || status === 407;
  const error = (code: ErrorCode, what: string) =>
    new GatewayError(code, `The server "${server}" ${what}`, {
      detail,
      ...(isRefused && { data: { status } }),
      cause: rejection,
    });
  if (wantsSignIn)
    return error(
      'upstream_rejected',
      `wants a sign-in by OAuth (HTTP ${status}), which the gateway does not do yet. Put a token into its \`headers\`: "Authorization": "Bearer \${env:NAME}"; if one is there, it is wrong or has expired.`,
    );
  if (isRefused)
    return error('upstream_rejected', `refused the gateway's credentials (HTTP ${status}); check its \`headers\`.`);
  if (status >= 300 && status < 400)
    return error(
      'upstream_rejected',
      `answered with a redirect (HTTP ${status}), which is not followed; put the final URL in its \`url\`.`,
    );
  // 408, 429 and 503 mean that the server did not process the request; any other 5xx leaves that open
  const unserved = status === 408 || status === 429 || status === 503;
  const code = unserved ? 'upstream_unreachable' : status >= 500 ? 'upstream_failed' : 'upstream_rejected';
  return error(code, `answered HTTP ${status} without a JSON-RPC message.`);
}

/** The reason that OpenSSL gives, without the positions in its source code around it. */
function opensslReason(error: unknown): string {
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  return typeof reason === 'string' && String(code).startsWith('ERR_SSL') ? reason : reasonOf(error);
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
