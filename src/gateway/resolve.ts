// The resolve stage of MCP calls: what a call names is looked up once, in the catalog of its caller.
import { type Catalog, NO_TRAITS, type ToolTraits, type UriOptions, type View } from '../catalog/catalog.ts';
import type { SeenUris } from '../catalog/seen-uris.ts';
import { type McpCall, serverOf, type Target } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import { checkParamHeaders } from '../protocol/mcp/param-headers.ts';
import type { RetryRounds } from './bridge/retry-rounds.ts';
import { declare, isDeclared } from './offer.ts';
import type { Snapshots } from './snapshots.ts';
import type { TaskIds } from './tasks/task-ids.ts';
import type { Upstreams } from './upstreams.ts';

/** What dispatch gets to know of a call beside its target. */
export interface McpRoute {
  readonly catalog: Catalog;
  /** What the endpoint shows to the caller. */
  readonly view: View;
  /** Whether what it shows is for its caller alone. */
  readonly isPrivate: boolean;
  /** Those of the target. */
  readonly traits: ToolTraits;
  /** Headers of the caller that its server gets: an intermediary forwards what it does not recognize. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

export type McpContext = CallContext<McpRoute>;

export interface ResolveParts {
  readonly snapshots: Snapshots;
  readonly upstreams: Upstreams;
  readonly seen: SeenUris;
  readonly taskIds: TaskIds;
  readonly rounds: RetryRounds;
}

/** Where a call looks names up. */
interface Place {
  readonly catalog: Catalog;
  readonly view: View;
  readonly parts: ResolveParts;
}

/**
 * Leaves in the context what a call names, and where that leads. Waits where a server that may offer it is being met. Throws GatewayError
 * where the call is malformed, or its endpoint has no such method.
 */
export function resolveMcp(parts: ResolveParts): (call: McpCall, ctx: McpContext) => Promise<void> | undefined {
  return (call, ctx) => {
    const place = placeOf(call, parts);
    const server = serverOf(call.endpoint);
    const declared = server === undefined ? undefined : requireDeclared(server, call, parts);
    return declared ? declared.then(() => resolve(call, ctx, placeOf(call, parts))) : resolve(call, ctx, place);
  };
}

/** Throws `not_found` where there is no such server. */
function placeOf(call: McpCall, parts: ResolveParts): Place {
  const catalog = parts.snapshots.current.catalogs.of(call);
  const server = serverOf(call.endpoint);
  const view = server === undefined ? catalog.all : catalog.server(server);
  if (!view) throw new GatewayError('not_found', `There is no server named "${server ?? ''}" here.`);
  return { catalog, view, parts };
}

function resolve(call: McpCall, ctx: McpContext, place: Place): Promise<void> | undefined {
  if (call.args !== undefined && !isObject(call.args))
    throw new GatewayError('invalid_params', '`params.arguments` must be an object.');
  const target = find(call, ctx, place);
  const { parts } = place;
  // a name that nobody offers yet may be that of a server which is just being met
  const mayBeComing = target ? false : ctx.requested !== undefined || isList(call);
  const waiting = mayBeComing ? parts.upstreams.upToDate(serverOf(call.endpoint)) : undefined;
  if (!waiting) {
    route(call, ctx, { place, target });
    return undefined;
  }
  return waiting.then(() => {
    const anew = placeOf(call, parts);
    ctx.rules = parts.snapshots.rulesFor(call);
    route(call, ctx, { place: anew, target: find(call, ctx, anew) });
  });
}

function isList({ method }: McpCall): boolean {
  return CALL_METHODS.get(method)?.lists !== undefined;
}

function route(call: McpCall, ctx: McpContext, found: { place: Place; target: Target | undefined }): void {
  const { catalog, view, parts } = found.place;
  const target = found.target ?? pendingTarget(call, ctx, parts);
  const traits = target ? catalog.traits(target) : NO_TRAITS;
  ctx.target = target;
  ctx.continues = target !== undefined && parts.rounds.has(call, target);
  const { privateLists, catalogs } = parts.snapshots.current;
  const isPrivate = view.isPrivate || privateLists || catalogs.vary;
  ctx.route = { catalog, view, isPrivate, traits, headers: headersFor(call, ctx, traits) };
}

/** Finds what the call names. Throws `invalid_params` where it must name something and does not. */
function find(call: McpCall, ctx: McpContext, place: Place): Target | undefined {
  const { names, ofTask } = CALL_METHODS.get(call.method) ?? {};
  if (ofTask) return findTask(call, ctx, place.parts);
  if (call.method === 'completion/complete') return findReference(call, ctx, place);
  if (!names) return undefined;
  const requested = call.params[names.param];
  if (typeof requested !== 'string' || requested === '')
    throw new GatewayError('invalid_params', `\`params.${names.param}\` must be a non-empty string.`);
  ctx.requested = requested;
  const { view, parts } = place;
  if (names.param === 'uri') return view.findUri(requested, uriOptions(call, ctx, parts));
  return view.find(names.kind, requested);
}

/** Where a URI leads that several servers know, or that one has shown. */
export function uriOptions(
  { principal, endpoint }: McpCall,
  { rules }: McpContext,
  { seen }: Pick<ResolveParts, 'seen'>,
): UriOptions {
  const server = serverOf(endpoint);
  return {
    seen: (uri) => {
      const by = seen.serverOf(principal.id, uri);
      return server === undefined || server === by ? by : undefined;
    },
    permits: (target) => rules.policy.permits(target),
  };
}

/** A task names the tool that runs as it. An id that leads nowhere names nothing, and is refused where the call would be answered. */
function findTask(call: McpCall, ctx: McpContext, { taskIds }: ResolveParts): Target | undefined {
  const { taskId } = call.params;
  if (typeof taskId !== 'string') throw new GatewayError('invalid_params', '`params.taskId` must be a string.');
  const task = taskIds.open(call.principal, taskId);
  const server = serverOf(call.endpoint);
  if (!task || (server !== undefined && server !== task.target.server)) return undefined;
  ctx.task = task;
  ctx.requested = task.target.exposed;
  return task.target;
}

/** A completion names a prompt, or the template (or URI) of a resource. */
function findReference(call: McpCall, ctx: McpContext, { view, parts }: Place): Target | undefined {
  const { ref } = call.params;
  const { type, name, uri } = isObject(ref) ? ref : {};
  if (type === 'ref/prompt' && typeof name === 'string') {
    ctx.requested = name;
    return view.find('prompt', name);
  }
  if (type === 'ref/resource' && typeof uri === 'string') {
    ctx.requested = uri;
    return view.find('resourceTemplate', uri) ?? view.findUri(uri, uriOptions(call, ctx, parts));
  }
  throw new GatewayError(
    'invalid_params',
    '`params.ref` must be { "type": "ref/prompt", "name" } or { "type": "ref/resource", "uri" }.',
  );
}

/** Where a name that is not offered would lead, at a server that has never answered: of several, one that may be used. */
function pendingTarget(call: McpCall, ctx: McpContext, { upstreams }: ResolveParts): Target | undefined {
  if (ctx.requested === undefined) return undefined;
  const { names } = CALL_METHODS.get(call.method) ?? {};
  const kind =
    names?.kind ?? (isObject(call.params.ref) && call.params.ref.type === 'ref/prompt' ? 'prompt' : 'resource');
  const { requested, rules } = ctx;
  const found = upstreams.pendingDiscovery({ kind, requested }, serverOf(call.endpoint));
  return found.find((target) => rules.policy.permits(target)) ?? found[0];
}

/** Checks the `Mcp-Param-*` headers. A tool that may not be called has no schema to check against: its answer is that of an unknown one. */
function headersFor({ args, paramHeaders }: McpCall, ctx: McpContext, { mirrored }: ToolTraits): McpRoute['headers'] {
  if (!paramHeaders) return undefined;
  const known = ctx.target && ctx.rules.policy.permits(ctx.target) ? mirrored : [];
  return checkParamHeaders(paramHeaders, known, isObject(args) ? args : {});
}

/** An undeclared method of a single server is -32601; what a server never seen declares is waited for (wire.md, What the gateway offers). */
function requireDeclared(server: string, call: McpCall, { upstreams }: ResolveParts): Promise<void> | undefined {
  const { capability, names } = CALL_METHODS.get(call.method) ?? {};
  if (capability === undefined) return undefined;
  const check = () => {
    const upstream = upstreams.get(server);
    if (upstream?.seen === false) {
      // whether what the call names may be used is decided first
      if (upstream.isPendingDiscovery && names) return;
      // one that never answered may declare anything; it is not there, which is another answer
      throw upstream.unavailable();
    }
    if (!isDeclared(declare(upstreams, server, call.revision), capability))
      throw new GatewayError('method_not_found', `The server "${server}" does not declare ${capability}.`);
  };
  const sight = upstreams.get(server)?.seen === false ? upstreams.firstConnections(server) : undefined;
  if (sight) return sight.then(check);
  check();
  return undefined;
}
