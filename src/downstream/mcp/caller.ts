// What a front knows about a caller before it reads the message.
import type { CallerFacts, Transport } from '../../core/call.ts';

export interface Caller extends Omit<CallerFacts, 'client'> {
  readonly transport: Transport;
}

/** Facts about one message that only the front knows. */
export interface MessageFacts {
  readonly bytes: number;
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
  readonly paramHeaders?: Readonly<Record<string, string>>;
}
