// A Settlement: how a call ended, as quota, the record and the trace are told of it.
import { ERRORS, type GatewayError } from './errors.ts';
import type { FinalReply, Origin } from './reply.ts';

/** Every way in which a call can end. `unknown`: it may have taken effect, nobody can tell. */
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
  /** What the caller is answered, unless the call failed. */
  readonly reply?: FinalReply;
  /** Why the gateway gives no answer. */
  readonly failure?: GatewayError;
  /** The instance that answered, or that was asked last. */
  readonly origin?: Origin | undefined;
}

/** How an answered call ended. */
export function statusOf(reply: FinalReply): Status {
  if (reply.kind === 'error') return 'protocol_error';
  return reply.kind === 'result' && reply.result.isError === true ? 'tool_error' : 'ok';
}

/** How a call ended that an error of the gateway ended. */
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
      // Neither a bug nor the end says anything about whether the call was sent before it struck.
      return 'unknown';
    default:
      return ERRORS[error.code].fault === 'upstream' ? 'unknown' : 'refused';
  }
}
