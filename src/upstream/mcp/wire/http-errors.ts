// What the failures of HTTP mean for a call.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { timedOut } from './deadlines.ts';
import { HttpRejection, SessionLost, type Timeouts } from './wire.ts';

const TIMED_OUT: Readonly<Record<string, 'connect' | 'firstByte' | 'idle'>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  UND_ERR_HEADERS_TIMEOUT: 'firstByte',
  UND_ERR_BODY_TIMEOUT: 'idle',
};

/** Failures of the connection itself: the request never reached the server. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What OpenSSL says where the first bytes that come are no TLS. */
const NO_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);
const SPEAKS_NO_TLS =
  'its `url` says https, but what answers there speaks no TLS. It most likely answers plain HTTP; write http:// in the `url`.';

/** Makes a failure of the transport an error of ours that names the server and the setting to look at. */
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

/** Tells whether no connection could be made: nothing was sent, and nothing is to be expected of the next request either. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'upstream_unreachable' && UNREACHABLE.has(codeOf(error.cause));
}

/** Statuses about credentials, load and failures: they say nothing about what a server speaks (wire.md, Probing an upstream). */
export function concludesNothing(status: number): boolean {
  return status >= 500 || [401, 403, 407, 408, 429].includes(status);
}

/** Tells whether a refusal says that our session is unknown: 404 by the rules, 400 by the examples that many servers were made of. */
export function isSessionUnknown({ status, body, answer }: HttpRejection): boolean {
  if (status === 404) return true;
  return status === 400 && answer?.id === undefined && /session/i.test(answer?.error?.message ?? body);
}

/** What it means that a message of a session could not be delivered: `SessionLost` where the server has forgotten the session. */
export function messageError(server: string, error: unknown): unknown {
  const cause = error instanceof GatewayError ? error.cause : undefined;
  if (!(cause instanceof HttpRejection) || !isSessionUnknown(cause)) return error;
  return new SessionLost(`The server "${server}" no longer knows the session.`);
}

function rejectionError(server: string, rejection: HttpRejection): GatewayError {
  const { status } = rejection;
  const said = rejection.body.replace(/\s+/gu, ' ').trim().slice(0, BOUNDS.quotedOutput);
  const detail = said === '' ? undefined : `It said: ${said}`;
  if (rejection.wantsSignIn) {
    return new GatewayError(
      'upstream_rejected',
      `The server "${server}" wants a sign-in by OAuth (HTTP ${status}), which the gateway does not do yet. Put a token into its \`headers\`: "Authorization": "Bearer \${env:NAME}"; if one is there, it is wrong or has expired.`,
      { detail, data: { status }, cause: rejection },
    );
  }
  if (status === 401 || status === 403 || status === 407) {
    return new GatewayError(
      'upstream_rejected',
      `The server "${server}" refused the gateway's credentials (HTTP ${status}); check its \`headers\`.`,
      { detail, data: { status }, cause: rejection },
    );
  }
  if (status >= 300 && status < 400) {
    return new GatewayError(
      'upstream_rejected',
      `The server "${server}" answered with a redirect (HTTP ${status}), which is not followed; put the final URL in its \`url\`.`,
      { detail, cause: rejection },
    );
  }
  // 408, 429 and 503 say that the request was not worked on; after any other 5xx nobody knows
  const unserved = status === 408 || status === 429 || status === 503;
  const code = unserved ? 'upstream_unreachable' : status >= 500 ? 'upstream_failed' : 'upstream_rejected';
  return new GatewayError(code, `The server "${server}" answered HTTP ${status} without a JSON-RPC message.`, {
    detail,
    cause: rejection,
  });
}

/** OpenSSL puts its reason between places in its own source. */
function opensslReason(error: unknown): string {
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  return typeof reason === 'string' && String(code).startsWith('ERR_SSL') ? reason : reasonOf(error);
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
