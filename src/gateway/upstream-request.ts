// Sends a call to its server, and writes the attempt into the context of the call.
import type { ToolTraits } from '../catalog/catalog.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { McpCall, Target } from '../core/call.ts';
import type { Attempt } from '../core/call-context.ts';
import { toGatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Exchange } from '../core/exchange.ts';
import type { Origin } from '../core/reply.ts';
import { writeAhead } from '../protocol/mcp/json-writer.ts';
import { mirrorArguments } from '../protocol/mcp/param-headers.ts';
import { TASK_RESULT } from '../protocol/mcp/tasks.ts';
import { traceparentOf } from '../telemetry/trace.ts';
import { INPUT_REQUIRED } from './bridge/request-state.ts';
import type { McpContext } from './resolve.ts';
import { sendToTask } from './tasks/upstream-task.ts';
import type { ConnectionRequest } from '../upstream/mcp/connect/connection.ts';
import type { Upstream, UpstreamReply } from '../upstream/mcp/upstream.ts';

export interface Destination {
  readonly target: Target;
  readonly upstream: Upstream;
  readonly traits: ToolTraits;
  readonly ctx: McpContext;
}

export interface Sent {
  /** With the names that the server knows. */
  readonly params: JsonObject;
  /** Gets the questions, progress and log lines of the server; absent where the caller gets them itself. */
  readonly exchange?: Exchange;
  /** Whether the server may answer with a task. */
  readonly tasks?: boolean;
  /** Whether the params carry answers of the caller. The gateway then waits for a server that is away, because it cannot ask again. */
  readonly answers?: boolean;
}

/**
 * Sends a call, and keeps target, times and failure of the attempt in its context. Serializes large params and large structured results in
 * slices, so that they do not delay other calls. Throws GatewayError.
 */
export async function send(call: McpCall, to: Destination, sent: Sent): Promise<UpstreamReply> {
  if (call.bytes > BOUNDS.slicedMessage) await writeAhead(sent.params);
  const attempt = to.ctx.attempt(to.target);
  let answered: UpstreamReply;
  try {
    answered = await sendNow(call, to, { sent, attempt });
  } catch (thrown) {
    attempt.error = toGatewayError(thrown).code;
    throw thrown;
  } finally {
    attempt.endedAt = performance.now();
  }
  const structured = answered.reply.result?.structuredContent;
  if (answered.reply.bytes > BOUNDS.slicedMessage && Array.isArray(structured)) await writeAhead({ structured });
  return answered;
}

/** Writes every member of the request: to spread objects costs more than all else that is done here. */
function sendNow(
  call: McpCall,
  { upstream, traits, ctx }: Destination,
  { sent, attempt }: { sent: Sent; attempt: Attempt },
): Promise<UpstreamReply> {
  const { args, trace, exchange } = call;
  const mirrors = traits.mirrored.length > 0 && isObject(args);
  const headers = mirrors ? { ...ctx.route.headers, ...mirrorArguments(traits.mirrored, args) } : ctx.route.headers;
  const request: ConnectionRequest = {
    method: call.method,
    params: sent.params,
    totalMs: upstream.config.timeouts.total,
    exchange: sent.exchange ?? exchange,
    session: call.session,
    principal: call.principal.id,
    traceparent: traceparentOf(trace),
    tracestate: trace.state,
    logLevel: exchange.logLevel,
    capabilities: exchange.capabilities,
    tasks: sent.tasks === true,
    patient: sent.answers === true,
    headers,
    attempt,
  };
  return ctx.task ? sendToTask(upstream, { task: ctx.task, request, caller: call }) : upstream.request(request, call);
}

/** The instance that answered, for the record. */
export function originOf({ target }: Pick<Destination, 'target'>, { connection, reply }: UpstreamReply): Origin {
  return {
    server: target.server,
    instance: connection.instance,
    era: connection.era,
    transport: connection.wire.transport,
    bytes: reply.bytes,
  };
}

/** Whether a modern server answered a call with questions. */
export function isQuestion({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'modern' && reply.result?.resultType === INPUT_REQUIRED;
}

/** Whether a modern server made a task of a call. */
export function isModernTask({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'modern' && reply.result?.resultType === TASK_RESULT;
}

/** Whether a legacy server made a task of a call. */
export function isLegacyTask({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'legacy' && isObject(reply.result?.task);
}
