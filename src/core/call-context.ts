// The CallContext: the one mutable object of a call, in which the stages leave what they find out.
import type { Target, TaskRef } from './call.ts';
import type { Decision, PolicyView } from './decision.ts';
import { type ErrorCode, type GatewayError, toGatewayError } from './errors.ts';
import type { FinalReply, Origin } from './reply.ts';
import { type Settlement, statusOf, statusOfError } from './settlement.ts';

/** One try at a server: known also when it fails. */
export interface Attempt {
  readonly target: Target;
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number;
  endedAt?: number;
  /** The instance that was asked; absent while none was reached. */
  origin?: Origin;
  /** Why there was no answer. */
  error?: ErrorCode;
}

/** Hears how a call ended. A call waits for the promise before its caller gets the last frame. */
export type SettlementListener = (settlement: Settlement) => void | Promise<void>;

/** The configuration that a call began under, as far as every stage reads it. */
export interface CallRules {
  readonly policy: PolicyView;
  /** Hash of the configuration. */
  readonly config: string;
}

/** `Route` is what the resolve stage finds for the dispatch of its kind of call. */
export class CallContext<Route = unknown> {
  /** What policy and configuration say to this caller; one moment for the whole call. */
  rules: CallRules;
  /** What the caller named: a tool, a prompt, a URI. */
  requested: string | undefined;
  /** Absent on lists, and when nothing of the requested name is offered. */
  target: Target | undefined;
  /** The task that the call is about. */
  task: TaskRef | undefined;
  decision: Decision | undefined;
  /** Whether it is a further round of a call that was counted before. */
  continues = false;
  /** Whether its intent is in the log. */
  isCommitted = false;
  attempts: Attempt[] | undefined;
  private found: Route | undefined;
  private readonly listeners: SettlementListener[] = [];
  private isSettled = false;

  constructor(rules: CallRules) {
    this.rules = rules;
  }

  /** What the resolve stage of this kind of call found. Throws Error before that stage. */
  get route(): Route {
    if (this.found === undefined) throw new Error('the call is not resolved yet');
    return this.found;
  }

  set route(route: Route) {
    this.found = route;
  }

  /** Begins a try at a server. */
  attempt(target: Target): Attempt {
    const attempt: Attempt = { target, startedAt: performance.now() };
    (this.attempts ??= []).push(attempt);
    return attempt;
  }

  /** The stage that listens last is told first: quota, then the record, then the trace. */
  onSettled(listener: SettlementListener): void {
    this.listeners.push(listener);
  }

  /** Settles an answered call. Returns why its caller cannot be given the answer; undefined where it can. */
  answered(reply: FinalReply): Promise<GatewayError | undefined> {
    return this.settle({ status: statusOf(reply), reply, origin: reply.origin ?? this.origin });
  }

  /** Settles a failed call. Returns what its caller is told instead, where the settlement failed too. */
  failed(failure: GatewayError): Promise<GatewayError | undefined> {
    return this.settle(this.failureOf(failure));
  }

  /** A listener that throws keeps no other from being told: those that follow hear of a call that failed. */
  private async settle(settlement: Settlement): Promise<GatewayError | undefined> {
    if (this.isSettled) throw new Error('a call was settled twice');
    this.isSettled = true;
    let failure: GatewayError | undefined;
    for (let listener = this.listeners.pop(); listener; listener = this.listeners.pop()) {
      try {
        const done = listener(settlement);
        if (done) await done;
      } catch (thrown) {
        failure ??= toGatewayError(thrown);
        settlement = this.failureOf(failure);
      }
    }
    return failure;
  }

  private failureOf(failure: GatewayError): Settlement {
    return { status: statusOfError(failure), failure, origin: this.origin };
  }

  private get origin(): Origin | undefined {
    return this.attempts?.at(-1)?.origin;
  }
}
