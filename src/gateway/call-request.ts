// What a downstream adapter hands in, and the Call that is made of it.
import type { UriOptions, View } from '../catalog/catalog.ts';
import type { SeenUris } from '../catalog/seen-uris.ts';
import type { Call, OfferKind, Target, TaskRef } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import type { TaskIds } from './tasks/task-ids.ts';
import { withoutProtocolMeta } from '../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import { randomHex, traceFrom } from '../telemetry/trace.ts';

/** A Call before it is one: `params` are as the caller sent them, and what they name is not resolved yet. */
export interface CallRequest extends Omit<
  Call,
  'id' | 'target' | 'pendingDiscovery' | 'task' | 'requested' | 'trace' | 'startedAt'
> {
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
}

/** What tells where a URI leads. */
export interface Known {
  readonly seen: SeenUris;
  readonly tasks: TaskIds;
  permits(target: Target): boolean;
  /** Where a name that is not offered would lead, at a server that has never answered. */
  pendingDiscovery(name: Pick<Named, 'kind' | 'requested'>, scope: string | undefined): Target | undefined;
}

/** Builds the frozen Call: resolves what it names in the view of its endpoint. Throws `invalid_params` where it names nothing. */
export function buildCall(request: CallRequest, view: View, known: Known): Call {
  const { traceparent, tracestate, params, ...rest } = request;
  const meta = isObject(params._meta) ? params._meta : undefined;
  const args = params.arguments;
  if (args !== undefined && !isObject(args))
    throw new GatewayError('invalid_params', '`params.arguments` must be an object.');
  const named = resolve(request, view, known);
  const pendingDiscovery = named && !named.target ? known.pendingDiscovery(named, rest.scope) : undefined;
  return Object.freeze({
    ...rest,
    id: randomHex(12),
    params: withoutProtocolMeta(params),
    ...(named && { requested: named.requested }),
    ...(named?.target && { target: named.target }),
    ...(pendingDiscovery && { pendingDiscovery }),
    ...(named?.task && { task: named.task }),
    trace: traceFrom(traceparent ?? meta?.traceparent, tracestate ?? meta?.tracestate),
    startedAt: performance.now(),
  });
}

/** What a call names, and where that leads. */
export interface Named {
  readonly kind: OfferKind;
  readonly requested: string;
  readonly target: Target | undefined;
  readonly task?: TaskRef;
}

function resolve(request: CallRequest, view: View, { seen, tasks, permits }: Known): Named | undefined {
  const { names, ofTask } = CALL_METHODS.get(request.method) ?? {};
  if (ofTask) return resolveTask(request, tasks);
  const seenBy = (uri: string) => {
    const server = seen.serverOf(request.principal.id, uri);
    return request.scope === undefined || server === request.scope ? server : undefined;
  };
  const routing = { seen: seenBy, permits };
  if (names) {
    const requested = request.params[names.param];
    if (typeof requested !== 'string' || requested === '')
      throw new GatewayError('invalid_params', `\`params.${names.param}\` must be a non-empty string.`);
    const target = names.param === 'uri' ? view.findUri(requested, routing) : view.find(names.kind, requested);
    return { kind: names.kind, requested, target };
  }
  return request.method === 'completion/complete' ? resolveReference(request.params.ref, view, routing) : undefined;
}

/** A task names the tool that runs as it. An id that leads nowhere names nothing, and is refused where the call would be answered. */
function resolveTask({ principal, params, scope }: CallRequest, tasks: TaskIds): Named | undefined {
  if (typeof params.taskId !== 'string') throw new GatewayError('invalid_params', '`params.taskId` must be a string.');
  const task = tasks.open(principal, params.taskId);
  if (!task || (scope !== undefined && scope !== task.target.server)) return undefined;
  return { kind: task.target.kind, requested: task.target.exposed, target: task.target, task };
}

/** A completion names a prompt, or the template (or URI) of a resource. */
function resolveReference(ref: unknown, view: View, routing: UriOptions): Named {
  const { type, name, uri } = isObject(ref) ? ref : {};
  if (type === 'ref/prompt' && typeof name === 'string')
    return { kind: 'prompt', requested: name, target: view.find('prompt', name) };
  if (type === 'ref/resource' && typeof uri === 'string') {
    return {
      kind: 'resource',
      requested: uri,
      target: view.find('resourceTemplate', uri) ?? view.findUri(uri, routing),
    };
  }
  throw new GatewayError(
    'invalid_params',
    '`params.ref` must be { "type": "ref/prompt", "name" } or { "type": "ref/resource", "uri" }.',
  );
}
