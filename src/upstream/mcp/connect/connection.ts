// A live connection to one server, era known: requests get what its era wants of them.
import type { Era, Peer } from '../../../core/call.ts';
import type { Attempt } from '../../../core/call-context.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Origin } from '../../../core/reply.ts';
import { declarable } from '../../../protocol/mcp/client-capabilities.ts';
import { foreignMeta, META } from '../../../protocol/mcp/meta.ts';
import { declaresTasks, TASKS_CAPABILITY } from '../../../protocol/mcp/tasks.ts';
import type { Wire, WireReply, WireRequest } from '../wire/wire.ts';

/** What the handshake found. */
export interface Handshake {
  readonly era: Era;
  readonly version: string;
  readonly capabilities: JsonObject;
  readonly serverInfo?: Peer;
  readonly instructions?: string;
}

export interface ConnectionRequest extends Omit<WireRequest, 'params'> {
  readonly params: JsonObject;
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly logLevel?: string;
  /** What the caller can do, for a server that is told with every request. */
  readonly capabilities?: JsonObject;
  /** Whether a task may come instead of an answer, for a server that is told with every request. */
  readonly tasks?: boolean;
  /** Whether it waits for a server that is down, as long as a call may take: what it carries cannot be had again. */
  readonly patient?: boolean;
  /** The try of a call that it is: told which instance was asked. */
  readonly attempt?: Attempt;
}

/** Wire and handshake together. */
export class Connection {
  readonly wire: Wire;
  readonly handshake: Handshake;
  /** `NAME#N`: which start of the server this is. */
  readonly instance: string;
  private readonly modernMeta: JsonObject;
  private readonly takesTasks: boolean;

  constructor(wire: Wire, handshake: Handshake, identity: { instance: string; client: Peer }) {
    this.wire = wire;
    this.handshake = handshake;
    this.instance = identity.instance;
    this.takesTasks = declaresTasks(handshake.capabilities);
    this.modernMeta = {
      [META.version]: handshake.version,
      [META.clientInfo]: { ...identity.client },
      [META.clientCapabilities]: {},
    };
  }

  get era(): Era {
    return this.handshake.era;
  }

  /** Sends a request with the `_meta` of this hop: vendors' keys and trace context pass, the protocol's are ours. */
  request(request: ConnectionRequest): Promise<WireReply> {
    const { params, traceparent, tracestate, logLevel, capabilities, tasks, headers, attempt, ...rest } = request;
    if (attempt) attempt.origin = this.originOf(attempt);
    const meta: JsonObject = { ...foreignMeta(params._meta) };
    if (traceparent !== undefined) meta.traceparent = traceparent;
    if (tracestate !== undefined) meta.tracestate = tracestate;
    if (this.era === 'modern') {
      for (const key in this.modernMeta) meta[key] = this.modernMeta[key];
      if (logLevel !== undefined) meta[META.logLevel] = logLevel;
      if (capabilities !== undefined)
        meta[META.clientCapabilities] =
          tasks === true && this.takesTasks
            ? { ...declarable(capabilities), ...TASKS_CAPABILITY }
            : declarable(capabilities);
    }
    const trace =
      traceparent === undefined ? undefined : { traceparent, ...(tracestate !== undefined && { tracestate }) };
    return this.wire.request({ ...rest, params: { ...params, _meta: meta }, headers: { ...headers, ...trace } });
  }

  private originOf({ target: { server } }: Attempt): Origin {
    return { server, instance: this.instance, era: this.era, transport: this.wire.transport, bytes: 0 };
  }
}
