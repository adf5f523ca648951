// What a front knows of a caller before its message is read.
import type { CallerFacts, Transport } from '../../core/call.ts';

export interface Caller extends Omit<CallerFacts, 'client'> {
  readonly transport: Transport;
}

/** Facts of one message that only its front knows. */
export interface MessageFacts {
  readonly bytes: number;
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
  readonly paramHeaders?: Readonly<Record<string, string>>;
}
