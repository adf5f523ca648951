// A live connection to one server whose era is known: adds to each request what the era requires.
import type { Era, Peer } from '../../../core/call.ts';
import type { Attempt } from '../../../core/call-context.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Origin } from '../../../core/reply.ts';
import { foreignMeta, META } from '../../../protocol/mcp/vocabulary.ts';
import { declarable, declaresTasks, TASKS_CAPABILITY } from '../../../protocol/mcp/capabilities.ts';
import type { Wire, WireReply, WireRequest } from '../wire/wire.ts';

/** What a handshake found. */
export interface Handshake {
  readonly era: Era;
  readonly version: string;
  readonly capabilities: JsonObject;
  readonly serverInfo?: Peer;
  readonly instructions?: string;
}

export interface ConnectionRequest extends WireRequest {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly logLevel?: string | undefined;
  /** What the caller can do; a modern server reads it with every request. */
  readonly capabilities?: JsonObject;
  /** Whether the caller takes a task instead of an answer; a modern server reads it with every request. */
  readonly tasks?: boolean;
  /** Whether it waits for a server that is down, as long as a call may take, because the caller cannot repeat what it carries. */
  readonly patient?: boolean;
  /** The try of a call that it is: told which instance was asked. */
  readonly attempt?: Attempt;
}

/** An answer, and the connection that it came on. */
export interface UpstreamReply {
  readonly reply: WireReply;
  readonly connection: Connection;
}

export class Connection {
  readonly wire: Wire;
  readonly handshake: Handshake;
  /** `NAME#N`: which start of the server this is. */
  readonly instance: string;
  private readonly modernMeta: JsonObject;
  private readonly supportsTasks: boolean;

  constructor(wire: Wire, handshake: Handshake, identity: { instance: string; client: Peer }) {
    this.wire = wire;
    this.handshake = handshake;
    this.instance = identity.instance;
    this.supportsTasks = declaresTasks(handshake.capabilities);
    this.modernMeta = {
      [META.version]: handshake.version,
      [META.clientInfo]: { ...identity.client },
      [META.clientCapabilities]: {},
    };
  }

  get era(): Era {
    return this.handshake.era;
  }

  /** Sends a request with the `_meta` of this hop: vendors' keys and trace context are passed on, the protocol's keys are the gateway's. */
  request(request: ConnectionRequest): Promise<WireReply> {
    const { params, traceparent, tracestate, logLevel, capabilities, tasks, attempt } = request;
    if (attempt) attempt.origin = this.originOf(attempt);
    const meta: JsonObject = { ...foreignMeta(params._meta) };
    if (traceparent !== undefined) meta.traceparent = traceparent;
    if (tracestate !== undefined) meta.tracestate = tracestate;
    if (this.era === 'modern') {
      for (const key in this.modernMeta) meta[key] = this.modernMeta[key];
      if (logLevel !== undefined) meta[META.logLevel] = logLevel;
      if (capabilities !== undefined)
        meta[META.clientCapabilities] =
          tasks === true && this.supportsTasks
            ? { ...declarable(capabilities), ...TASKS_CAPABILITY }
            : declarable(capabilities);
    }
    // member by member: to spread the rest of the request takes longer than all of the above
    return this.wire.request({
      method: request.method,
      params: { ...params, _meta: meta },
      headers: withTrace(request),
      exchange: request.exchange,
      session: request.session,
      principal: request.principal,
      task: request.task,
      keptTask: request.keptTask,
      totalMs: request.totalMs,
      starts: request.starts,
      onNotification: request.onNotification,
    });
  }

  private originOf({ target: { server } }: Attempt): Origin {
    return { server, instance: this.instance, era: this.era, transport: this.wire.transport, bytes: 0 };
  }
}

/** The headers of a request, and those of its trace. */
function withTrace({ headers, traceparent, tracestate }: ConnectionRequest): WireRequest['headers'] {
  if (traceparent === undefined) return headers;
  return tracestate === undefined ? { ...headers, traceparent } : { ...headers, traceparent, tracestate };
}
