// A Settlement: how a call ended, for quota, record and trace.
import { ERRORS, type GatewayError } from './errors.ts';
import type { FinalReply, Origin } from './reply.ts';

/** All ways in which a call can end. `unknown`: the call may or may not have taken effect. */
export const STATUSES = [
  'ok',
  'tool_error',
  'protocol_error',
  'refused',
  'unreachable',
  'timed_out',
  'cancelled',
  'unknown',
] as const;

export type Status = (typeof STATUSES)[number];

export interface Settlement {
  readonly status: Status;
  /** The answer to the caller; absent where the call failed. */
  readonly reply?: FinalReply;
  /** The error of a call that failed. */
  readonly failure?: GatewayError;
  /** The instance that answered, or that the last attempt reached. */
  readonly origin?: Origin | undefined;
}

/** The status of an answered call. */
export function statusOf(reply: FinalReply): Status {
  if (reply.kind === 'error') return 'protocol_error';
  return reply.kind === 'result' && reply.result.isError === true ? 'tool_error' : 'ok';
}

/** The status of a call that failed with an error of the gateway. */
export function statusOfError(error: GatewayError): Status {
  switch (error.code) {
    case 'cancelled':
      return 'cancelled';
    case 'upstream_timed_out':
      return 'timed_out';
    case 'upstream_unreachable':
      return 'unreachable';
    case 'upstream_protocol':
    case 'upstream_message_too_large':
    case 'upstream_rejected':
      return 'protocol_error';
    case 'internal':
    case 'gateway_closed':
      // the call may have been sent before the bug or the end of the gateway
      return 'unknown';
    default:
      return ERRORS[error.code].fault === 'upstream' ? 'unknown' : 'refused';
  }
}
