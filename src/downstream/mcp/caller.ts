// What a front knows of a caller before its message is read.
import type { Transport } from '../../core/call.ts';
import type { Principal } from '../../core/principal.ts';

export interface Caller {
  readonly principal: Principal;
  readonly transport: Transport;
  /** The one server of `/mcp/s/NAME`. */
  readonly scope?: string;
  readonly address?: string;
}

/** Facts of one message that only its front knows. */
export interface MessageFacts {
  readonly bytes: number;
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
  readonly paramHeaders?: Readonly<Record<string, string>>;
}
