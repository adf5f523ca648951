// Calls of modern clients at legacy servers, while their questions are with the client (wire.md, Questions 2 to 6).
import { createHash, randomBytes } from 'node:crypto';
import type { Call, Target } from '../../core/call.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { type Outcome, ParkedCall } from './parked-call.ts';
import { canonical, INPUT_REQUIRED, type RequestState, type RequestStates, staleState } from './request-state.ts';

/** How long a question may be with the client, and how long an outcome is kept for whoever asks again. */
const PARKED_MS = 10 * 60_000;
/** Most calls that are parked, in all and of one principal. */
const MAX_PARKED = 1_000;
const MAX_PER_PRINCIPAL = 100;
/** Most that questions and kept outcomes of parked calls are together, in bytes. */
const MAX_BYTES = 256 * 1024 * 1024;
/** Rounds of one call whose answers are remembered; a client that lost a stream comes back for the last of them. */
const MAX_SPENT = 10;

/** A round that was answered: the same answers get the same reply. */
interface Spent {
  readonly digest: string;
  readonly reply: Promise<Reply>;
}

interface Parked {
  readonly key: string;
  readonly principal: string;
  readonly call: ParkedCall;
  readonly spent: Map<number, Spent>;
  /** Sizes of the questions of the last rounds, which its remembered replies hold. */
  readonly asked: number[];
  round: number;
  expiry: NodeJS.Timeout | undefined;
}

export interface ParkedCallsOptions {
  readonly states: RequestStates;
  /** Whether a server is known to ask: then what only a retry may want is wanted of it at once. */
  readonly mayAsk: (server: string) => boolean;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
}

export class ParkedCalls {
  private readonly states: RequestStates;
  private readonly mayAsk: (server: string) => boolean;
  private readonly stopping: CancelSignal;
  private readonly parked = new Map<string, Parked>();

  constructor({ states, mayAsk, stopping }: ParkedCallsOptions) {
    this.states = states;
    this.mayAsk = mayAsk;
    this.stopping = stopping;
    stopping.onAbort(() => {
      // who waits for a call gets its end, like the callers of all others
      for (const each of [...this.parked.values()]) if (!each.call.attended) this.forget(each);
    });
  }

  /** Runs a call whose server may ask; its reply is that of the server, or a round of questions. */
  async begin(call: Call, target: Target, run: (exchange: Exchange) => Promise<Reply>): Promise<Reply> {
    const running = new ParkedCall(call, { wantsProgress: this.mayAsk(target.server) });
    running.attach(call.exchange);
    const parked: Parked = {
      key: randomBytes(16).toString('base64url'),
      principal: call.principal.id,
      call: running,
      spent: new Map(),
      asked: [],
      round: 0,
      expiry: undefined,
    };
    const ending = run(running);
    running.run(ending);
    const trim = () => this.trim(parked);
    ending.then(trim, trim); // also where nobody waits for it
    return this.turn(call, target, parked);
  }

  /** Goes on with a parked call. Throws `invalid_params` for a state of a call that is gone, or that was answered otherwise. */
  resume(call: Call, target: Target, { key, round }: NonNullable<RequestState['parked']>): Promise<Reply> {
    const parked = this.parked.get(key);
    if (!parked) throw staleState();
    const responses = isObject(call.params.inputResponses) ? call.params.inputResponses : {};
    const digest = digestOf(responses);
    const spent = parked.spent.get(round);
    if (spent) return join(parked, spent, { call, digest });
    if (round !== parked.round) throw staleState();
    parked.call.attach(call.exchange);
    parked.call.answer(responses);
    const reply = this.turn(call, target, parked);
    parked.spent.set(round, { digest, reply });
    parked.spent.delete(round - MAX_SPENT);
    reply.catch(() => undefined); // whoever asked is told; those who join later are too
    return reply;
  }

  private async turn(call: Call, target: Target, parked: Parked): Promise<Reply> {
    clearTimeout(parked.expiry);
    if ((await parked.call.next()) === 'ended' && parked.call.outcome) {
      this.keep(parked);
      return conclude(parked.call.outcome, parked.call.lacking);
    }
    const inputRequests = parked.call.inputRequests();
    this.park(parked, JSON.stringify(inputRequests).length);
    const requestState = this.states.seal(call, target, { parked: { key: parked.key, round: parked.round } });
    return { kind: 'result', result: { resultType: INPUT_REQUIRED, inputRequests, requestState } };
  }

  /** Leaves the call waiting for its caller. Throws `overloaded`, and cancels it, where too many do, or they hold too much. */
  private park(parked: Parked, bytes: number): void {
    parked.call.detach();
    if (this.stopping.aborted) {
      this.forget(parked);
      throw new GatewayError('shutting_down', 'The gateway is stopping; nobody will be there to take the answers.');
    }
    const hasPlace = this.parked.has(parked.key) || this.makeRoom(parked.principal);
    if (!hasPlace || !this.makeRoomFor(bytes)) {
      this.forget(parked);
      throw new GatewayError('overloaded', 'Too many calls wait for answers to questions; answer some of them first.');
    }
    this.parked.set(parked.key, parked);
    parked.asked.push(bytes);
    if (parked.asked.length > MAX_SPENT) parked.asked.shift();
    parked.round++;
    this.keep(parked);
  }

  /** Returns whether there is room for one more of this principal; outcomes that are kept make way, the oldest first. */
  private makeRoom(principal: string): boolean {
    const own = [...this.parked.values()].filter((each) => each.principal === principal);
    if (this.parked.size < MAX_PARKED && own.length < MAX_PER_PRINCIPAL) return true;
    const candidates = own.length < MAX_PER_PRINCIPAL ? [...this.parked.values()] : own;
    const ended = candidates.find(({ call }) => call.outcome !== undefined);
    if (ended) this.forget(ended);
    return ended !== undefined;
  }

  /** Returns whether so many bytes more fit; outcomes that are kept make way, the oldest first, where that is enough. */
  private makeRoomFor(more: number): boolean {
    const all = [...this.parked.values()];
    const ended = all.filter(({ call }) => call.outcome !== undefined);
    const kept = bytesOf(ended);
    let bytes = more + bytesOf(all);
    if (bytes - kept > MAX_BYTES) return false;
    for (const each of ended) {
      if (bytes <= MAX_BYTES) break;
      bytes -= bytesOf([each]);
      this.forget(each);
    }
    return true;
  }

  /** A call has ended: where it was parked, what came of it is kept, as far as that fits. */
  private trim({ key }: Parked): void {
    if (this.parked.has(key)) this.makeRoomFor(0);
  }

  /** What was never parked has nobody who could come back for it. */
  private keep(parked: Parked): void {
    if (!this.parked.has(parked.key)) return;
    clearTimeout(parked.expiry);
    parked.expiry = setTimeout(() => this.forget(parked), PARKED_MS).unref();
  }

  private forget(parked: Parked): void {
    clearTimeout(parked.expiry);
    this.parked.delete(parked.key);
    parked.call.cancel();
  }
}

/** What is held of calls for whoever comes back for them, in bytes. */
function bytesOf(calls: readonly Parked[]): number {
  let bytes = 0;
  for (const { call, asked } of calls) {
    if (call.outcome && 'reply' in call.outcome) bytes += call.outcome.reply.origin?.bytes ?? 0;
    for (const size of asked) bytes += size;
  }
  return bytes;
}

/** The same state again: with the same answers it gets the same reply, and nothing is sent (wire.md, Questions 2). */
function join(
  { call: parked }: Parked,
  spent: Spent,
  { call, digest }: { readonly call: Call; readonly digest: string },
): Promise<Reply> {
  if (spent.digest !== digest)
    throw new GatewayError('invalid_params', 'This `params.requestState` was already used with other answers.');
  if (parked.attended) parked.attach(call.exchange);
  return spent.reply;
}

function digestOf(responses: JsonObject): string {
  return createHash('sha256').update(canonical(responses)).digest('base64url');
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
