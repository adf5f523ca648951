// The resolve stage of MCP calls: looks up once, in the catalog of the caller, the tool, prompt, resource or task that a call names.
import { type Catalog, NO_TRAITS, type ToolTraits } from '../catalog/catalog.ts';
import type { UriOptions, View } from '../catalog/view.ts';
import { type McpCall, serverOf, type Target } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import { excerpt, GatewayError, unknownTask } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import { CALL_METHODS } from '../protocol/mcp/vocabulary.ts';
import { checkParamHeaders } from '../protocol/mcp/param-headers.ts';
import type { DispatchParts } from './dispatch.ts';
import { declare, isDeclared, unknownServer } from './offer.ts';

/** What dispatch reads of the look-up, besides the target. */
export interface McpRoute {
  readonly catalog: Catalog;
  /** The part of the catalog that the endpoint shows: all servers, or one. */
  readonly view: View;
  /** Whether lists are for this caller alone (`cacheScope: private`), because other callers may get other lists. */
  readonly isPrivate: boolean;
  /** The traits of the target; `NO_TRAITS` where there is no target. */
  readonly traits: ToolTraits;
  /** The caller's `Mcp-Param-*` headers that the gateway passes on to the server: an intermediary forwards those that it does not recognize. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

export type McpContext = CallContext<McpRoute>;

/** The catalog and view that a call's names are looked up in. */
interface LookUp {
  readonly catalog: Catalog;
  readonly view: View;
  readonly parts: DispatchParts;
}

/**
 * Returns the function that resolves a call: it writes the target, the task and the route into the context. Where the target is unknown and a
 * server that may offer it is being connected for the first time, it waits for that server and looks the name up again; then it returns a
 * promise. Throws GatewayError where the call is malformed, or its endpoint does not declare the method.
 */
export function resolveMcp(parts: DispatchParts): (call: McpCall, ctx: McpContext) => Promise<void> | undefined {
  return (call, ctx) => {
    const lookUp = lookUpFor(call, parts);
    const server = serverOf(call.endpoint);
    const declared = server === undefined ? undefined : requireDeclared(server, call, parts);
    return declared
      ? declared.then(() => resolve(call, ctx, lookUpAgain(call, ctx, parts)))
      : resolve(call, ctx, lookUp);
  };
}

/** The look-up after a wait, in which a reload may have put other catalogs in force, and with them another policy. */
function lookUpAgain(call: McpCall, ctx: McpContext, parts: DispatchParts): LookUp {
  ctx.rules = parts.snapshots.rulesFor(call);
  return lookUpFor(call, parts);
}

/** Throws `not_found` where the endpoint names a server that does not exist. */
function lookUpFor(call: McpCall, parts: DispatchParts): LookUp {
  const catalog = parts.snapshots.current.catalogs.of(call);
  const server = serverOf(call.endpoint);
  const view = server === undefined ? catalog.all : catalog.server(server);
  if (!view) throw unknownServer(server);
  return { catalog, view, parts };
}

function resolve(call: McpCall, ctx: McpContext, lookUp: LookUp): Promise<void> | undefined {
  if (call.args !== undefined && !isObject(call.args))
    throw new GatewayError('invalid_params', '`params.arguments` must be an object.');
  const target = find(call, ctx, lookUp);
  const { parts } = lookUp;
  // a server whose offer is being read may offer the name, or add entries to the list; a denied name waits as long as an unknown one
  const needsOffers = permitted(target, ctx) ? false : ctx.requested !== undefined || isList(call);
  const reading = needsOffers ? parts.upstreams.upToDate(call.era, serverOf(call.endpoint)) : undefined;
  if (!reading) {
    route(call, ctx, { lookUp, target });
    return undefined;
  }
  return reading.then(() => {
    const latest = lookUpAgain(call, ctx, parts);
    route(call, ctx, { lookUp: latest, target: find(call, ctx, latest) });
  });
}

/** The target, if there is one and policy permits it. */
function permitted(target: Target | undefined, { rules }: McpContext): Target | undefined {
  return target && rules.policy.permits(target) ? target : undefined;
}

function isList({ method }: McpCall): boolean {
  return CALL_METHODS.get(method)?.lists !== undefined;
}

/** Writes the outcome of the look-up into the context. */
function route(call: McpCall, ctx: McpContext, found: { lookUp: LookUp; target: Target | undefined }): void {
  const { catalog, view, parts } = found.lookUp;
  const target = found.target ?? pendingTarget(call, ctx, parts);
  const traits = target ? catalog.traits(target) : NO_TRAITS;
  ctx.target = target;
  // to open the state takes time, which a caller could measure: for a denied name there is none, as for an unknown one
  const usable = permitted(target, ctx);
  ctx.continues = usable !== undefined && parts.states.isFurtherRound(call, usable);
  const { privateLists, catalogs } = parts.snapshots.current;
  const isPrivate = view.isPrivate || privateLists || catalogs.areOwned;
  ctx.route = { catalog, view, isPrivate, traits, headers: headersFor(call, ctx, traits) };
}

/** The target that the call names; undefined where it names none, or nothing of the name is offered. Throws `invalid_params` where the name is missing. */
function find(call: McpCall, ctx: McpContext, lookUp: LookUp): Target | undefined {
  const { names, ofTask } = CALL_METHODS.get(call.method) ?? {};
  if (ofTask) return findTask(call, ctx, lookUp.parts);
  if (call.method === 'completion/complete') return findReference(call, ctx, lookUp);
  if (!names) return undefined;
  const requested = call.params[names.param];
  if (typeof requested !== 'string' || requested === '')
    throw new GatewayError('invalid_params', `\`params.${names.param}\` must be a non-empty string.`);
  ctx.requested = requested;
  const { view, parts } = lookUp;
  if (names.param === 'uri') return view.findUri(requested, uriOptions(call, ctx, parts));
  return view.find(names.kind, requested);
}

/** How the view chooses the server of a URI: the one that showed the URI to this principal, else one that policy permits. */
export function uriOptions(
  { principal, endpoint }: McpCall,
  { rules }: McpContext,
  { seen }: Pick<DispatchParts, 'seen'>,
): UriOptions {
  const server = serverOf(endpoint);
  return {
    seen: (uri, by = server) => {
      if (by === undefined) return seen.serverOf(principal.id, uri);
      return seen.isNamedBy(principal.id, by, uri) ? by : undefined;
    },
    permits: (target) => rules.policy.permits(target),
  };
}

/** The tool that runs as the task. Undefined for an unknown task id; dispatch refuses that with `unknown_task`. */
function findTask(call: McpCall, ctx: McpContext, { tasks }: DispatchParts): Target | undefined {
  const { taskId } = call.params;
  if (typeof taskId !== 'string') throw new GatewayError('invalid_params', '`params.taskId` must be a string.');
  const task = tasks.ids.open(call.principal, taskId);
  const server = serverOf(call.endpoint);
  if (!task || (server !== undefined && server !== task.target.server)) return undefined;
  ctx.task = task;
  ctx.requested = task.target.exposed;
  return task.target;
}

/** The prompt, resource template or resource that a completion names. */
function findReference(call: McpCall, ctx: McpContext, { view, parts }: LookUp): Target | undefined {
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

/** The target that an unknown name would have at a server that never answered. */
function pendingTarget(call: McpCall, ctx: McpContext, { upstreams }: DispatchParts): Target | undefined {
  if (ctx.requested === undefined) return undefined;
  const { names } = CALL_METHODS.get(call.method) ?? {};
  const kind =
    names?.kind ?? (isObject(call.params.ref) && call.params.ref.type === 'ref/prompt' ? 'prompt' : 'resource');
  const { requested, rules } = ctx;
  return upstreams.pendingDiscovery({ kind, requested }, rules.policy, serverOf(call.endpoint));
}

/**
 * Checks the `Mcp-Param-*` headers, and returns those to pass on. Those of a denied tool are not checked against its schema, because its
 * caller must get the same answer as for an unknown tool.
 */
function headersFor({ args, paramHeaders }: McpCall, ctx: McpContext, { mirrored }: ToolTraits): McpRoute['headers'] {
  if (!paramHeaders) return undefined;
  const known = permitted(ctx.target, ctx) ? mirrored : [];
  return checkParamHeaders(paramHeaders, known, isObject(args) ? args : {});
}

/**
 * Throws `method_not_found` where the server of an endpoint does not declare the method. Returns a promise where the server never answered and is
 * being connected, so that its capabilities are not known yet (wire.md, What the gateway offers).
 */
function requireDeclared(server: string, call: McpCall, { upstreams }: DispatchParts): Promise<void> | undefined {
  const { capability, names } = CALL_METHODS.get(call.method) ?? {};
  if (capability === undefined) return undefined;
  const check = () => {
    const upstream = upstreams.get(server); // a reload may have replaced it meanwhile
    if (upstream?.seen === false) {
      // policy decides first whether the caller may use the name; dispatch then fails the call
      if (upstream.isPendingDiscovery && names) return;
      // a server that never answered may declare the method: the caller learns that it is unavailable
      throw upstream.unavailable();
    }
    if (!isDeclared(declare(upstreams, server, call.revision), capability))
      throw new GatewayError('method_not_found', `The server "${server}" does not declare ${capability}.`);
  };
  const upstream = upstreams.get(server);
  const connecting = upstream?.seen === false ? upstream.firstConnection() : undefined;
  if (connecting) return connecting.then(check);
  check();
  return undefined;
}

const THINGS: Readonly<Record<string, string>> = { 'tools/call': 'Unknown tool', 'prompts/get': 'Unknown prompt' };

/** The error for a tool, prompt, resource or task that is not offered, or that policy denies. */
export function unknownMcp(
  { method }: McpCall,
  { requested = method, task }: McpContext,
  detail?: string,
): GatewayError {
  const name = excerpt(requested);
  if (method.startsWith('resources/'))
    return new GatewayError('resource_not_found', `Resource not found: ${name}`, { data: { uri: name }, detail });
  if (task) return unknownTask({ detail });
  return new GatewayError('unknown_target', `${THINGS[method] ?? 'Nothing of this name is offered'}: ${name}`, {
    detail,
  });
}
