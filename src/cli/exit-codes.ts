// The exit statuses, and which error ends with which.
import { type ErrorCode, GatewayError, reasonOf } from '../core/errors.ts';

export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  auth: 3,
  unreachable: 4,
  toolFailed: 5,
  denied: 6,
  quota: 7,
  configuration: 8,
  notFound: 9,
  checkFailed: 10,
  interrupted: 130,
  terminated: 143,
} as const;

/** The meaning of each status, for help and the reference page. */
export const EXIT_MEANINGS: readonly (readonly [status: number, meaning: string])[] = [
  [EXIT.ok, 'ok'],
  [EXIT.internal, 'internal error: a bug in the gateway'],
  [EXIT.usage, 'the command was called wrongly, or Node is too old'],
  [EXIT.auth, 'a credential was missing or refused'],
  [EXIT.unreachable, 'a server or the gateway could not be reached, or timed out'],
  [EXIT.toolFailed, 'the tool failed'],
  [EXIT.denied, 'denied'],
  [EXIT.quota, 'a quota is used up'],
  [EXIT.configuration, 'the configuration or the state directory cannot be used, or the address is taken'],
  [EXIT.notFound, 'no such tool, server or log'],
  [EXIT.checkFailed, 'a check found something'],
  [EXIT.interrupted, 'ended by SIGINT'],
  [EXIT.terminated, 'ended by SIGTERM'],
];

/** The command line is wrong; the message says how to write it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Ends a command with a status; the message says why. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  unauthenticated: EXIT.auth,
  control_key_required: EXIT.auth,
  forbidden_process: EXIT.denied,
  forbidden_host: EXIT.denied,
  forbidden_origin: EXIT.denied,
  unknown_target: EXIT.notFound,
  resource_not_found: EXIT.notFound,
  not_found: EXIT.notFound,
  upstream_unreachable: EXIT.unreachable,
  upstream_closed: EXIT.unreachable,
  upstream_failed: EXIT.unreachable,
  upstream_timed_out: EXIT.unreachable,
  upstream_rejected: EXIT.unreachable,
  upstream_protocol: EXIT.unreachable,
  upstream_message_too_large: EXIT.unreachable,
  shutting_down: EXIT.unreachable,
  gateway_closed: EXIT.unreachable,
  audit_unavailable: EXIT.configuration,
};

/** The status for a code of the error table. */
export function exitOfCode(code: string): number {
  return BY_CODE[code as ErrorCode] ?? EXIT.internal;
}

/** The status of any error of a command. */
export function exitOf(error: unknown): number {
  if (error instanceof ExitError) return error.status;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof GatewayError) return exitOfCode(error.code);
  const name = error instanceof Error ? error.name : '';
  if (name === 'ConfigError' || name === 'StateError' || name === 'ListenError') return EXIT.configuration;
  return EXIT.internal;
}

/** The text of an error on stderr: the message of the gateway's own errors, the stack of a bug. */
export function explain(error: unknown): string {
  const known = exitOf(error) !== EXIT.internal || error instanceof GatewayError || error instanceof ExitError;
  return known || !(error instanceof Error) ? reasonOf(error) : (error.stack ?? error.message);
}
