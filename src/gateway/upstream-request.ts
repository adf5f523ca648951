// One call on its way to its server: what is sent, and where the answer came from.
import type { ToolTraits } from '../catalog/catalog.ts';
import type { Call, Target } from '../core/call.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Exchange } from '../core/exchange.ts';
import type { Origin } from '../core/reply.ts';
import { writeAhead } from '../protocol/mcp/json-writer.ts';
import { mirrorArguments } from '../protocol/mcp/param-headers.ts';
import { SLICED_ABOVE } from '../protocol/mcp/strict-json.ts';
import { traceparentOf } from '../telemetry/trace.ts';
import { sendToTask } from './tasks/upstream-task.ts';
import type { Upstream, UpstreamReply } from '../upstream/mcp/upstream.ts';

export interface Destination {
  readonly target: Target;
  readonly upstream: Upstream;
  readonly traits: ToolTraits;
}

export interface Sent {
  /** As the server wants them. */
  readonly params: JsonObject;
  /** Whoever is asked, told and waited for; the caller where nobody stands between. */
  readonly exchange?: Exchange;
  /** Whether the server may answer with a task. */
  readonly tasks?: boolean;
  /** Whether it carries answers of the caller, who is not asked for them again. */
  readonly answers?: boolean;
}

/** Sends a call; what is large is written in slices, on the way there and on the way back. Throws GatewayError. */
export async function send(call: Call, to: Destination, sent: Sent): Promise<UpstreamReply> {
  if (call.bytes > SLICED_ABOVE) await writeAhead(sent.params);
  const answered = await sendNow(call, to, sent);
  const structured = answered.reply.result?.structuredContent;
  if (answered.reply.bytes > SLICED_ABOVE && Array.isArray(structured)) await writeAhead({ structured });
  return answered;
}

function sendNow(
  call: Call,
  { upstream, traits }: Destination,
  { params, exchange = call.exchange, tasks = false, answers = false }: Sent,
): Promise<UpstreamReply> {
  const args = call.params.arguments;
  const headers =
    traits.mirrored.length > 0 && isObject(args)
      ? { ...call.paramHeaders, ...mirrorArguments(traits.mirrored, args) }
      : call.paramHeaders;
  const request = {
    method: call.method,
    params,
    totalMs: upstream.config.timeouts.total,
    exchange,
    session: call.session,
    principal: call.principal.id,
    traceparent: traceparentOf(call.trace),
    ...(call.trace.state !== undefined && { tracestate: call.trace.state }),
    ...(call.exchange.logLevel !== undefined && { logLevel: call.exchange.logLevel }),
    capabilities: call.exchange.capabilities,
    tasks,
    ...(answers && { patient: true }),
    ...(headers && { headers }),
  };
  return call.task ? sendToTask(upstream, { task: call.task, request, caller: call }) : upstream.request(request, call);
}

/** Where an answer came from, for the record. */
export function originOf({ target }: Pick<Destination, 'target'>, { connection, reply }: UpstreamReply): Origin {
  return {
    server: target.server,
    instance: connection.instance,
    era: connection.era,
    transport: connection.wire.transport,
    bytes: reply.bytes,
  };
}
