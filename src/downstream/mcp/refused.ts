// The answer to a message that did not become a call.
import type { Era } from '../../core/call.ts';
import { toGatewayError } from '../../core/errors.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { RequestId } from '../../protocol/mcp/frames.ts';
import type { Caller } from './caller.ts';
import { type Answer, encodeError } from './encode.ts';

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
