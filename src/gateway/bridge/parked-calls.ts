// Parks the calls of modern clients at legacy servers while the clients answer the servers' questions (wire.md, Questions 2 to 6).
import { randomBytes } from 'node:crypto';
import type { McpCall, Target } from '../../core/call.ts';
import type { Attempt, CallContext } from '../../core/call-context.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { type Eviction, evictionFor, FairShare } from '../../core/fair-share.ts';
import { estimateHeap } from '../../core/heap-estimate.ts';
import { RoundResultCache } from './round-result-cache.ts';
import { type Outcome, ParkedCall } from './parked-call.ts';
import { INPUT_REQUIRED, type RequestState, type RequestStates, staleState } from './request-state.ts';

/** How long a question may be with the client, and how long an outcome is kept for whoever asks again. */
const PARKED_MS = 10 * 60_000;
/** Most calls that are parked, in all and of one principal. */
const MAX_PARKED = 1_000;
const MAX_PER_PRINCIPAL = 100;
/**
 * Most that all parked calls take in memory, in bytes: their arguments, their questions, and what is kept of their rounds. The calls of a
 * principal may take no more than is free for others.
 */
const MAX_BYTES = 256 * 1024 * 1024;
/** Rounds of one call whose replies are kept: a client that lost a stream comes back for the last of them. */
const MAX_SPENT = 10;

/** Where a call goes, and its context. */
interface At {
  readonly target: Target;
  readonly ctx: Pick<CallContext, 'attempts'>;
}

interface Parked {
  readonly key: string;
  readonly principal: string;
  readonly call: ParkedCall;
  /** Its tries at the server, which every round has in its context. */
  readonly attempts: Attempt[];
  /** The rounds that were answered, by number. */
  readonly rounds: Map<number, RoundResultCache>;
  /** What the request takes in memory, in bytes. */
  request: number;
  round: number;
  /** How many callers wait for the next turn. */
  waiting: number;
  expiry: NodeJS.Timeout | undefined;
}

export interface ParkedCallsOptions {
  readonly states: RequestStates;
  /** Whether a server is known to ask questions. Its calls then ask for progress from the first request on, because a retry may want it. */
  readonly mayAsk: (server: string) => boolean;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  /** In the place of `MAX_BYTES`. */
  readonly maxBytes?: number;
}

export class ParkedCalls {
  private readonly states: RequestStates;
  private readonly mayAsk: (server: string) => boolean;
  private readonly stopping: CancelSignal;
  private readonly maxBytes: number;
  private readonly parked = new Map<string, Parked>();
  private readonly places = new FairShare({ most: MAX_PARKED, mostOfOne: MAX_PER_PRINCIPAL });

  constructor({ states, mayAsk, stopping, maxBytes = MAX_BYTES }: ParkedCallsOptions) {
    this.states = states;
    this.mayAsk = mayAsk;
    this.stopping = stopping;
    this.maxBytes = maxBytes;
    stopping.onAbort(() => {
      // a caller who waits for the call gets its end, as callers of other calls do
      for (const each of [...this.parked.values()]) if (!each.call.attended) this.forget(each);
    });
  }

  /** Runs a call whose server may ask; its reply is that of the server, or a round of questions. */
  async begin(call: McpCall, { target, ctx }: At, run: (exchange: Exchange) => Promise<Reply>): Promise<Reply> {
    const running = new ParkedCall(call, { wantsProgress: this.mayAsk(target.server) });
    running.attach(call.exchange);
    const parked: Parked = {
      key: randomBytes(16).toString('base64url'),
      principal: call.principal.id,
      call: running,
      attempts: (ctx.attempts ??= []),
      rounds: new Map(),
      request: 0,
      round: 0,
      waiting: 0,
      expiry: undefined,
    };
    const ending = run(running);
    running.run(ending);
    const ended = () => this.ended(parked);
    ending.then(ended, ended); // also where nobody waits for it
    return this.turn(call, target, parked);
  }

  /** Goes on with a parked call. Throws `invalid_params` for a state of a call that is gone, or that was answered otherwise. */
  resume(call: McpCall, { target, ctx }: At, { key, round }: NonNullable<RequestState['parked']>): Promise<Reply> {
    const parked = this.parked.get(key);
    if (!parked) throw staleState();
    ctx.attempts = parked.attempts;
    const responses = isObject(call.params.inputResponses) ? call.params.inputResponses : {};
    const answered = parked.rounds.get(round);
    if (answered) {
      // the same state again: with the same answers it gets the same reply, and nothing is sent (wire.md, Questions 2)
      const reply = answered.again(responses);
      if (parked.call.attended) parked.call.attach(call.exchange);
      return reply;
    }
    if (round !== parked.round) throw staleState();
    parked.call.resume(call.exchange, responses);
    const reply = this.turn(call, target, parked);
    const spent = new RoundResultCache(responses, reply);
    parked.rounds.set(round, spent);
    parked.rounds.delete(round - MAX_SPENT);
    void reply.then(
      (given) => {
        spent.settled(given);
        this.trim(parked);
      },
      () => undefined, // whoever asked is told; those who join later are too
    );
    return reply;
  }

  private async turn(call: McpCall, target: Target, parked: Parked): Promise<Reply> {
    clearTimeout(parked.expiry);
    parked.waiting++;
    const turn = await parked.call.next();
    parked.waiting--;
    const { outcome } = parked.call;
    if (turn === 'ended' && outcome) {
      parked.call.letGoOfOutcome();
      this.keep(parked);
      return conclude(outcome, parked.call.lacking);
    }
    const inputRequests = parked.call.inputRequests();
    if (parked.round === 0) parked.request = estimateHeap(call.params);
    this.park(parked);
    const requestState = this.states.seal(call, target, { parked: { key: parked.key, round: parked.round } });
    return { kind: 'result', result: { resultType: INPUT_REQUIRED, inputRequests, requestState } };
  }

  /** Parks the call until its caller retries. Throws `overloaded` and cancels the call where too many are parked, or hold too much. */
  private park(parked: Parked): void {
    parked.call.detach();
    if (this.stopping.aborted) {
      this.forget(parked);
      throw new GatewayError('shutting_down', 'The gateway is stopping; nobody will be there to take the answers.');
    }
    if (!this.hasPlace(parked) || !this.makeRoomFor(parked.principal)) {
      this.forget(parked);
      throw new GatewayError(
        'overloaded',
        'Too many calls of this caller wait for answers to questions, or they hold too much; answer some of them first.',
      );
    }
    parked.round++;
    this.keep(parked);
  }

  /** Gives the call a place; one that has ended loses its own for it, the oldest first. Returns false where there is none. */
  private hasPlace(parked: Parked): boolean {
    const { key, principal } = parked;
    if (this.parked.has(key)) return true;
    const isFullFor = this.places.isFullFor(principal);
    if (isFullFor || this.places.free <= 0) {
      const ended = [...this.parked.values()].find(
        (other) => other.call.hasEnded && (!isFullFor || other.principal === principal),
      );
      if (!ended) return false;
      this.forget(ended);
    }
    this.parked.set(key, parked);
    this.places.take(principal);
    return true;
  }

  /** Returns whether the calls of a principal take no more than is free; those that have ended are forgotten where that is enough. */
  private makeRoomFor(principal: string): boolean {
    const { evicted, suffices } = this.evictionFor(principal);
    if (suffices) for (const each of evicted) this.forget(each);
    return suffices;
  }

  private evictionFor(principal: string): Eviction<Parked> {
    return evictionFor(this.parked.values(), principal, {
      most: this.maxBytes,
      look: (each) => ({ holder: each.principal, amount: bytesOf(each), evictable: each.call.hasEnded }),
    });
  }

  /** A call has ended. The outcome of a parked one is kept for its caller, as far as there is room. */
  private ended(parked: Parked): void {
    parked.request = 0;
    if (parked.waiting > 0 || !this.parked.has(parked.key)) return;
    parked.call.keepOutcome();
    this.trim(parked);
  }

  private trim({ key, principal }: Parked): void {
    if (this.parked.has(key)) for (const each of this.evictionFor(principal).evicted) this.forget(each);
  }

  /** Keeps a parked call for another while. A call that was never parked has no caller who could retry it. */
  private keep(parked: Parked): void {
    if (!this.parked.has(parked.key)) return;
    clearTimeout(parked.expiry);
    parked.expiry = setTimeout(() => this.forget(parked), PARKED_MS).unref();
  }

  private forget(parked: Parked): void {
    clearTimeout(parked.expiry);
    if (this.parked.delete(parked.key)) this.places.giveBack(parked.principal);
    parked.call.cancel();
  }
}

/** What is held of a call, in bytes. */
function bytesOf({ call, request, rounds }: Parked): number {
  let bytes = request + call.bytes;
  for (const round of rounds.values()) bytes += round.bytes;
  return bytes;
}

function conclude(outcome: Outcome, lacking: JsonObject | undefined): Reply {
  if ('failure' in outcome) throw outcome.failure;
  const failure = lackedIn(outcome.reply, lacking);
  if (failure) throw failure;
  return outcome.reply;
}

/** A failure that came of a question which the caller could not be asked names what it lacks (wire.md, Questions 6). */
export function lackedIn(reply: Reply, lacking: JsonObject | undefined): GatewayError | undefined {
  if (!lacking) return undefined;
  const failed = reply.kind === 'error' || (reply.kind === 'result' && reply.result.isError === true);
  if (!failed) return undefined;
  return new GatewayError(
    'capability_required',
    `The server wanted to ask its caller something, for which this client declares no support: ${textOf(reply)}`,
    { data: { requiredCapabilities: lacking } },
  );
}

function textOf(reply: Reply): string {
  if (reply.kind === 'error') return reply.error.message.slice(0, 500);
  const content = reply.kind === 'result' ? reply.result.content : undefined;
  const texts = Array.isArray(content)
    ? content.filter(isObject).map(({ text }) => (typeof text === 'string' ? text : ''))
    : [];
  return texts.join(' ').slice(0, 500);
}
