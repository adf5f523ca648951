// A task of a legacy server for a modern client: its end is waited for, its questions are kept until the client answers (wire.md, Tasks).
import { setTimeout as delay } from 'node:timers/promises';
import type { TaskRef } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { type Exchange, ownExchange } from '../../core/exchange.ts';
import { ERRORS, GatewayError, toGatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';
import type { Reply, RpcError } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { isTerminal, keptTask, toModernTask } from '../../protocol/mcp/tasks.ts';
import type { CallerFacts } from '../../upstream/mcp/instances/affinity.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';
import { lackedIn } from '../bridge/parked-calls.ts';
import { type Outcome, ParkedCall } from '../bridge/parked-call.ts';
import { cancelAtServer, isSame, look, reach, type TaskAt } from './upstream-task.ts';
import { type TakePlace, awaitTaskResult } from './await-task-result.ts';
import type { Forgotten, KeptTask } from './task-registry.ts';

/** How long whoever asks waits for the end to be known once the server cannot be asked, in ms. */
const SETTLES_WITHIN_MS = 2_000;

export interface BridgedTaskOptions {
  readonly ref: TaskRef;
  readonly caller: CallerFacts;
  /** As the server described it. */
  readonly task: JsonObject;
  /** How long it is kept, in ms. */
  readonly ttlMs: number;
  /** The way to it. */
  readonly at: TaskAt;
  /** Takes a place for the wait for its end. */
  readonly place: TakePlace;
  /** Whether there is room for what it holds with one more question. */
  readonly admits: () => boolean;
  /** It has ended; told once, with its last status. */
  readonly ended: (status: string) => void;
}

export class BridgedTask implements KeptTask {
  readonly ref: TaskRef;
  readonly principal: Principal;
  /** It fails then, and says so. */
  readonly outlivesInstance = true;
  private readonly options: BridgedTaskOptions;
  private readonly parked: ParkedCall;
  private readonly running: Promise<void>;
  private readonly listeners = new Set<() => void>();
  /** Gives up the wait for its end, as long as that is waited for. */
  private giveUp: ((reason: GatewayError) => void) | undefined;
  private task: JsonObject;
  private wasCancelled = false;
  private forgotten: Forgotten | undefined;
  private endedAt: string | undefined;

  constructor(options: BridgedTaskOptions) {
    this.options = options;
    this.ref = options.ref;
    this.principal = options.caller.principal;
    this.task = keptTask(options.task);
    const { capabilities } = options.caller.exchange;
    // progress and log lines are not for tasks (tasks extension, Task Status Notifications)
    const exchange = { ...ownExchange(new Cancellation()), capabilities };
    this.parked = new ParkedCall(
      { exchange, params: {} },
      { asked: () => this.notify(), uniqueKeys: true, admits: options.admits },
    );
    const end = this.untilEnd();
    this.parked.run(end);
    this.running = end.then(
      () => this.finish(),
      () => this.finish(),
    );
  }

  get ended(): boolean {
    return this.isOver();
  }

  /** What its open questions and what it ended with take. */
  get bytes(): number {
    return this.parked.bytes;
  }

  /** How it stands, as the server says now, or why it does not say (tasks extension, Task Polling). Throws GatewayError. */
  async get(): Promise<{ readonly task: JsonObject } | { readonly error: RpcError }> {
    if (this.ended) return { task: this.described() };
    const { result, error } = await look(this.options.at).catch(
      async (failure: unknown): Promise<Partial<WireReply>> => {
        if (isLoss(failure)) this.lose();
        // where the server is gone, the end is about to be known
        await this.untilKnown();
        if (this.isOver()) return {};
        throw failure;
      },
    );
    if (error && !this.isOver()) return { error };
    if (result && !this.isOver()) this.task = keptTask(result);
    // the end itself comes by another way, at about the same time
    if (isTerminal(this.task.status)) await this.untilKnown();
    return { task: this.described() };
  }

  /** Gives the server the answers that fit open questions; all others are ignored (tasks extension, Task Update Requests). */
  update(responses: JsonObject): void {
    this.parked.answer(responses);
  }

  /** Asks the server to end it. One that has ended stays as it is (tasks extension, Task Cancellation). */
  async cancel(): Promise<void> {
    if (this.ended) return;
    const { error } = await reach(this.options.at, { method: 'tasks/cancel' }).catch((failure: unknown) => {
      if (isLoss(failure)) this.lose();
      throw failure;
    });
    if (error || this.isOver()) return;
    this.wasCancelled = true;
    this.parked.cancel();
    this.finish();
  }

  changed(task: JsonObject): void {
    if (this.ended || !isSame(this.ref, { ...this.task, ...task })) return;
    this.task = keptTask({ ...this.task, ...task });
    if (!isTerminal(task.status)) this.notify(); // an end is told with what came of it
  }

  asker(): Promise<Exchange | undefined> {
    return Promise.resolve(this.isOver() ? undefined : this.parked);
  }

  async close(why: Forgotten): Promise<void> {
    this.listeners.clear();
    if (this.isOver()) return;
    this.forgotten = why;
    const cancelled = why === 'lost' || why === 'replaced' ? undefined : cancelAtServer(this.options.at);
    this.parked.cancel();
    await cancelled;
  }

  /** Calls the listener at every change. Returns the way to stop listening. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The whole of it, as far as is known here (tasks extension, Task Status). */
  described(): JsonObject {
    const { outcome } = this.parked;
    const known = { taskId: this.ref.id, ...toModernTask(this.task), ttlMs: this.options.ttlMs };
    const last = this.endedAt === undefined ? known : { ...known, lastUpdatedAt: this.endedAt };
    if (this.wasCancelled) return { ...last, status: 'cancelled' };
    if (outcome) return { ...last, ...this.endOf(outcome) };
    const inputRequests = this.parked.inputRequests();
    if (Object.keys(inputRequests).length > 0) return { ...known, status: 'input_required', inputRequests };
    return { ...known, status: 'working' };
  }

  /** Waits for the end where the server gives it, which is also where it asks (2025-11-25 basic/utilities/tasks, Input Required Status). */
  private async untilEnd(): Promise<Reply> {
    const { upstreamId } = this.ref;
    const { at, place } = this.options;
    const waiting = {
      method: 'tasks/result',
      params: { taskId: upstreamId },
      exchange: this.parked,
      principal: this.principal.id,
      task: upstreamId,
      keptTask: true as const,
    };
    const end = awaitTaskResult({
      wait: (totalMs) => at.send({ ...waiting, totalMs }),
      look: () => look(at),
      place,
      hasAsked: () => Object.keys(this.parked.inputRequests()).length > 0,
      leftMs: () => Infinity,
      signal: this.parked.signal,
    });
    const settled = Promise.withResolvers<WireReply>();
    this.giveUp = settled.reject;
    end.then(settled.resolve, settled.reject);
    // what leads to the reply is let go of with it: only what is kept of it counts
    const { result, error } = await settled.promise.finally(() => (this.giveUp = undefined));
    return error ? { kind: 'error', error } : { kind: 'result', result: withoutProtocolMeta(result ?? {}) };
  }

  /** Its server began anew, or forgot the session that it belonged to: what is waited for does not come any more. */
  private lose(): void {
    const { server } = this.ref.target;
    this.giveUp?.(new GatewayError('upstream_closed', `The server "${server}" lost the task before its end.`));
    this.parked.signal.abort();
  }

  /** A tool's own failure is a result, and `failed` is for errors of the protocol alone (tasks extension, Task Execution Errors). */
  private endOf(outcome: Outcome): JsonObject {
    if ('failure' in outcome) return failedBy(toGatewayError(outcome.failure));
    const { reply } = outcome;
    if (this.task.status === 'cancelled') return { status: 'cancelled' };
    const lacked = lackedIn(reply, this.parked.lacking);
    if (lacked) return failedBy(lacked);
    if (reply.kind === 'result') return { status: 'completed', result: reply.result };
    return reply.kind === 'error' ? failedWith(reply.error) : { status: 'cancelled' };
  }

  private isOver(): boolean {
    return this.wasCancelled || this.parked.hasEnded;
  }

  private untilKnown(): Promise<void> {
    return Promise.race([this.running, delay(SETTLES_WITHIN_MS, undefined, { ref: false })]);
  }

  private finish(): void {
    if (this.endedAt !== undefined) return;
    this.endedAt = new Date().toISOString();
    const { status } = this.described();
    this.parked.keepOutcome();
    this.options.ended(this.forgotten ?? (typeof status === 'string' ? status : 'unknown'));
    this.notify();
  }

  private notify(): void {
    for (const listener of this.listeners) listener();
  }
}

function isLoss(failure: unknown): boolean {
  return failure instanceof GatewayError && failure.code === 'unknown_task';
}

function failedBy({ code, message, data }: GatewayError): JsonObject {
  return failedWith({ code: ERRORS[code].jsonRpc, message, data });
}

function failedWith({ code, message, data }: RpcError): JsonObject {
  return { status: 'failed', statusMessage: message, error: { code, message, ...(isObject(data) && { data }) } };
}
