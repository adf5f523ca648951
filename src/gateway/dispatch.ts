// The end of the pipeline for MCP calls: the table of methods, who answers each, the pages of lists, and heartbeats meanwhile.
import { type McpCall, type OfferKind, serverOf } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import type { OfferedList, Reply } from '../core/reply.ts';
import { CALL_METHODS } from '../protocol/mcp/vocabulary.ts';
import { Forwarding } from './forward.ts';
import { type McpContext, unknownMcp } from './resolve.ts';
import { listen, subscribe, unsubscribe } from './subscribe.ts';
import { showTaskUris } from './result-uris.ts';
import type { Destination } from './upstream-request.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Exchange } from '../core/exchange.ts';
import type { SeenUris } from '../catalog/seen-uris.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { ParkedCalls } from './bridge/parked-calls.ts';
import type { RequestStates } from './bridge/request-state.ts';
import type { Changes } from './changes.ts';
import type { Snapshots } from './snapshots.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Upstreams } from './upstreams.ts';
import { createHash } from 'node:crypto';

/** Returns the dispatch of MCP calls. While a call runs, its caller gets heartbeats if it wants progress. */
export function dispatchMcp(parts: DispatchParts): (call: McpCall, ctx: McpContext) => Promise<Reply> {
  return async (call, ctx) => {
    try {
      const answering = dispatch(call, ctx, parts);
      return await (answering instanceof Promise ? parts.heartbeats.during(call.exchange, answering) : answering);
    } catch (failure) {
      throw parts.ending.aborted && !call.signal.aborted ? cutShort(failure) : failure;
    }
  };
}

function dispatch(call: McpCall, ctx: McpContext, parts: DispatchParts): Reply | Promise<Reply> {
  const { lists, capability } = CALL_METHODS.get(call.method) ?? {};
  if (lists) return list(call, lists, { ctx, parts });
  if (capability === 'tasks') return answerTask(call, ctx, parts);
  switch (call.method) {
    case 'subscriptions/listen':
      return listen(call, ctx, parts);
    case 'resources/subscribe':
      return subscribe(call, destinationOf(call, ctx, parts).target, parts);
    case 'resources/unsubscribe':
      // the session remembers the server that it subscribed at; the URI may lead to another one now, or to none
      return unsubscribe(call);
    default:
      return new Forwarding(call, destinationOf(call, ctx, parts), parts).run();
  }
}

/** Answers a `tasks/*` call, with the URIs of the result as the caller can read them. */
async function answerTask(call: McpCall, ctx: McpContext, parts: DispatchParts): Promise<Reply> {
  const reply = await parts.tasks.answer(call, ctx, parts);
  if (reply.kind !== 'result' || !ctx.target) return reply;
  const showing = { target: ctx.target, view: ctx.route.view, seen: parts.seen };
  return { ...reply, result: showTaskUris(call, reply.result, showing) };
}

/** Lists come from the catalog of the caller. */
function list(call: McpCall, of: OfferKind, { ctx, parts }: { ctx: McpContext; parts: DispatchParts }): Reply {
  const { view, catalog, isPrivate } = ctx.route;
  parts.snapshots.show(catalog);
  return { kind: 'list', of, ...pageOf(call, view.lists[of], catalog.version), isPrivate };
}

/** The server that a call goes to. Throws `unknown_target` where nothing of the name is offered, or the failure of a server that never answered. */
function destinationOf(call: McpCall, ctx: McpContext, { upstreams }: DispatchParts): Destination {
  const { target } = ctx;
  const upstream = target && upstreams.get(target.server);
  if (upstream && target.pendingDiscovery) throw upstream.unavailable();
  if (!target || !upstream) throw unknownMcp(call, ctx);
  return { target, upstream, traits: ctx.route.traits, ctx };
}

/** Makes the error of a call that the gateway cuts short. It replaces the error that the stop of the server caused. */
function cutShort(cause: unknown): GatewayError {
  const message =
    'The gateway stopped before the server answered. Whether the call took effect is not known; look before you call again.';
  return new GatewayError('gateway_closed', message, { cause });
}

/** Sends heartbeats to callers that want progress, so that they do not give up a silent call; one timer serves all calls. */
export class Heartbeats {
  private readonly live = new Set<Exchange>();
  private ticking: NodeJS.Timeout | undefined;

  /** Sends the caller a heartbeat from time to time until `running` settles, if the caller wants progress. Settles as `running` does. */
  during<T>(exchange: Exchange, running: Promise<T>): Promise<T> {
    if (!exchange.wantsProgress || !exchange.heartbeat) return running;
    this.live.add(exchange);
    this.ticking ??= setInterval(() => this.tick(), BOUNDS.heartbeatCheck).unref();
    return running.finally(() => {
      this.live.delete(exchange);
      if (this.live.size > 0) return;
      clearInterval(this.ticking);
      this.ticking = undefined;
    });
  }

  private tick(): void {
    for (const exchange of this.live) exchange.heartbeat?.();
  }
}

/** The parts of the gateway that resolve and dispatch MCP calls. */
export interface DispatchParts {
  readonly snapshots: Snapshots;
  readonly upstreams: Upstreams;
  readonly seen: SeenUris;
  readonly states: RequestStates;
  readonly parked: ParkedCalls;
  readonly tasks: Tasks;
  readonly changes: Changes;
  readonly heartbeats: Heartbeats;
  /** Aborted when the gateway stops: listeners then get their result. */
  readonly stopping: CancelSignal;
  /** Aborted when the gateway stops and no longer waits for calls in flight. */
  readonly ending: CancelSignal;
}

/** The page of a list that the cursor of a call names, and the cursor of the next page. Throws `invalid_params` for a cursor of another catalog or caller. */
export function pageOf(call: McpCall, list: OfferedList, version: string): { list: OfferedList; nextCursor?: string } {
  const { cursor } = call.params;
  const index = cursor === undefined ? 0 : readCursor(call, cursor, version);
  const pages = list.pages(BOUNDS.listPage);
  const page = pages[index];
  if (!page) throw stale();
  return { list: page, ...(pages.length > index + 1 && { nextCursor: writeCursor(call, index + 1, version) }) };
}

/** A cursor belongs to one catalog, one list and one caller (wire.md, What the gateway offers). */
function writeCursor(call: McpCall, index: number, version: string): string {
  const owner = createHash('sha256')
    .update(`${version}\n${call.method}\n${call.principal.id}\n${serverOf(call.endpoint) ?? ''}\n${index}`)
    .digest('base64url');
  return `${index}.${owner.slice(0, 16)}`;
}

function readCursor(call: McpCall, cursor: unknown, version: string): number {
  const index = typeof cursor === 'string' ? Number.parseInt(cursor, 10) : NaN;
  if (!Number.isSafeInteger(index) || index < 1 || writeCursor(call, index, version) !== cursor) throw stale();
  return index;
}

function stale(): GatewayError {
  return new GatewayError(
    'invalid_params',
    '`params.cursor` does not belong to the present list; read the list again from its beginning.',
  );
}
