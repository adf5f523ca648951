// Parks the calls of modern clients at legacy servers while the clients answer the servers' questions (wire.md, Questions 2 to 6).
import { randomBytes } from 'node:crypto';
import { type Bounds, BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall, Target } from '../../core/call.ts';
import type { Attempt, CallContext } from '../../core/call-context.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { estimateHeap, isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { type Eviction, evictionFor, FairShare } from '../../core/fair-share.ts';
import type { DispatchParts } from '../dispatch.ts';
import type { Upstreams } from '../upstreams.ts';
import { type Outcome, ParkedCall } from './parked-call.ts';
import { digestOf, INPUT_REQUIRED, type RequestState, staleState } from './request-state.ts';
import { SerializedReply } from './serialized-reply.ts';

/** The target of a call, and its context. */
interface Place {
  readonly target: Target;
  readonly ctx: Pick<CallContext, 'attempts'>;
}

/** An answered round: a client that sends the same answers again gets the same reply (wire.md, Questions 2). */
interface Round {
  /** Of the answers. */
  readonly digest: string;
  /** Serialized once it is there; a failure is small and stays as it is. */
  reply: Promise<Reply> | SerializedReply;
}

interface Parked {
  readonly key: string;
  readonly principal: string;
  readonly call: ParkedCall;
  /** Its attempts at the server; the contexts of all its rounds share them. */
  readonly attempts: Attempt[];
  /** The answered rounds, by number. */
  readonly rounds: Map<number, Round>;
  /** The size of the request in memory, in bytes. */
  request: number;
  round: number;
  /** How many callers wait for the next turn. */
  waiting: number;
  expiry: NodeJS.Timeout | undefined;
}

/** `states` seals the states of rounds, `upstreams` knows which servers ask questions, `stopping` is aborted when the gateway stops. */
type ParkedCallsParts = Pick<DispatchParts, 'states' | 'stopping'> & { readonly upstreams: Pick<Upstreams, 'get'> };

export class ParkedCalls {
  private readonly parts: ParkedCallsParts;
  private readonly bounds: Bounds;
  private readonly parked = new Map<string, Parked>();
  private readonly places: FairShare;

  constructor(parts: ParkedCallsParts, bounds: Bounds = BOUNDS) {
    this.parts = parts;
    this.bounds = bounds;
    this.places = new FairShare({ most: bounds.parkedCalls, mostOfOne: bounds.parkedCallsOfPrincipal });
    parts.stopping.onAbort(() => {
      // a call that a caller waits for runs to its end, as other calls do
      for (const each of [...this.parked.values()]) if (!each.call.attended) this.forget(each);
    });
  }

  /** Runs a call whose server may ask questions. Resolves with the server's reply, or with a round of questions. */
  async begin(call: McpCall, { target, ctx }: Place, run: (exchange: Exchange) => Promise<Reply>): Promise<Reply> {
    // a server that is known to ask questions sends progress from the first request on, because a retry may want it
    const wantsProgress = this.parts.upstreams.get(target.server)?.mayAsk(call.era);
    const running = new ParkedCall(call, { wantsProgress });
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
    ending.then(ended, ended);
    return this.turn(call, target, parked);
  }

  /** Continues a parked call with a retry. Throws `invalid_params` where the call is not parked any more, or the round has other answers already. */
  resume(call: McpCall, { target, ctx }: Place, { key, round }: NonNullable<RequestState['parked']>): Promise<Reply> {
    const parked = this.parked.get(key);
    if (!parked) throw staleState();
    ctx.attempts = parked.attempts;
    const responses = isObject(call.params.inputResponses) ? call.params.inputResponses : {};
    const digest = digestOf(responses);
    const answered = parked.rounds.get(round);
    if (answered) {
      if (answered.digest !== digest)
        throw new GatewayError('invalid_params', 'This `params.requestState` was already used with other answers.');
      if (parked.call.attended) parked.call.attach(call.exchange);
      return answered.reply instanceof SerializedReply ? Promise.resolve(answered.reply.open()) : answered.reply;
    }
    if (round !== parked.round) throw staleState();
    parked.call.resume(call.exchange, responses);
    const reply = this.turn(call, target, parked);
    const latest: Round = { digest, reply };
    parked.rounds.set(round, latest);
    parked.rounds.delete(round - this.bounds.parkedRounds);
    void reply.then(
      (settled) => {
        latest.reply = new SerializedReply(settled);
        this.trim(parked);
      },
      () => undefined, // the callers of this round get the failure
    );
    return reply;
  }

  /** Waits for the next turn of the call: its end, or a round of questions, for which the call is parked. */
  private async turn(call: McpCall, target: Target, parked: Parked): Promise<Reply> {
    clearTimeout(parked.expiry);
    parked.waiting++;
    const turn = await parked.call.next();
    parked.waiting--;
    const { outcome } = parked.call;
    if (turn === 'ended' && outcome) {
      parked.call.releaseOutcome();
      this.restartExpiry(parked);
      return conclude(outcome, parked.call.lacking);
    }
    const inputRequests = parked.call.inputRequests();
    if (parked.round === 0) parked.request = estimateHeap(call.params);
    this.park(parked);
    const requestState = this.parts.states.seal(call, target, { parked: { key: parked.key, round: parked.round } });
    return { kind: 'result', result: { resultType: INPUT_REQUIRED, inputRequests, requestState } };
  }

  /** Parks the call until its caller retries. Cancels it and throws `overloaded` where too many are parked, or hold too much memory. */
  private park(parked: Parked): void {
    parked.call.detach();
    if (this.parts.stopping.aborted) {
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
    this.restartExpiry(parked);
  }

  /** Gives the call a place, if need be that of the oldest call that has ended. Returns false where there is none. */
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

  /** Returns whether the calls of a principal hold no more memory than is free for others, if need be after it has forgotten some that ended. */
  private makeRoomFor(principal: string): boolean {
    const { evicted, suffices } = this.evictionFor(principal);
    if (suffices) for (const each of evicted) this.forget(each);
    return suffices;
  }

  private evictionFor(principal: string): Eviction<Parked> {
    return evictionFor(this.parked.values(), principal, {
      most: this.bounds.parkedBytes,
      look: (each) => ({ holder: each.principal, amount: bytesOf(each), evictable: each.call.hasEnded }),
    });
  }

  /** Called when a call has ended. Keeps the outcome of a parked one for its retry, as far as there is memory. */
  private ended(parked: Parked): void {
    parked.request = 0;
    if (parked.waiting > 0 || !this.parked.has(parked.key)) return;
    parked.call.keepOutcome();
    this.trim(parked);
  }

  /** Forgets ended calls of the principal, the oldest first, until its calls hold no more memory than is free for others. */
  private trim({ key, principal }: Parked): void {
    if (this.parked.has(key)) for (const each of this.evictionFor(principal).evicted) this.forget(each);
  }

  /** Starts the time anew after which a parked call is forgotten. A call that was never parked cannot be retried. */
  private restartExpiry(parked: Parked): void {
    if (!this.parked.has(parked.key)) return;
    clearTimeout(parked.expiry);
    parked.expiry = setTimeout(() => this.forget(parked), this.bounds.parkedCallAge).unref();
  }

  private forget(parked: Parked): void {
    clearTimeout(parked.expiry);
    if (this.parked.delete(parked.key)) this.places.giveBack(parked.principal);
    parked.call.forget();
  }
}

/** The size of all that is kept of a call in memory, in bytes. */
function bytesOf({ call, request, rounds }: Parked): number {
  let bytes = request + call.bytes;
  for (const { reply } of rounds.values()) bytes += reply instanceof SerializedReply ? reply.bytes : 0;
  return bytes;
}

function conclude(outcome: Outcome, lacking: JsonObject | undefined): Reply {
  if ('failure' in outcome) throw outcome.failure;
  const failure = lackedIn(outcome.reply, lacking);
  if (failure) throw failure;
  return outcome.reply;
}

/** The error that a failed call gets where the caller could not be asked a question: it names the missing capabilities (wire.md, Questions 6). */
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
  if (reply.kind === 'error') return reply.error.message.slice(0, BOUNDS.quotedServerText);
  const content = reply.kind === 'result' ? reply.result.content : undefined;
  const texts = Array.isArray(content)
    ? content.filter(isObject).map(({ text }) => (typeof text === 'string' ? text : ''))
    : [];
  return texts.join(' ').slice(0, BOUNDS.quotedServerText);
}
