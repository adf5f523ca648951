// The context of one call, in which the stages store what they find, its one settlement, and the stages themselves.
import type { Call, Target, TaskRef } from './call.ts';
import type { Decision, PolicyView } from './decision.ts';
import { type ErrorCode, ERRORS, type GatewayError, toGatewayError } from './errors.ts';
import type { FinalReply, Origin, Reply } from './reply.ts';

/** One attempt to send the call to a server. It stays known where it fails. */
export interface Attempt {
  readonly target: Target;
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number;
  endedAt?: number;
  /** The instance that the attempt reached; absent while it has reached none. */
  origin?: Origin;
  /** The error of a failed attempt. */
  error?: ErrorCode;
}

/** Called with the settlement of a call. The call waits for the promise before its caller gets the last frame. */
export type SettlementListener = (settlement: Settlement) => void | Promise<void>;

/** The part of the configuration that stages read, as it was when the call began. */
export interface CallRules {
  readonly policy: PolicyView;
  /** Hash of the configuration. */
  readonly config: string;
}

/** `Route` is the type of what the resolve stage finds for the dispatch of one kind of call. */
export class CallContext<Route = unknown> {
  /** Policy and configuration for this caller, the same ones for the whole call. */
  rules: CallRules;
  /** The name or URI in the request: of a tool, a prompt, a resource. */
  requested: string | undefined;
  /** Absent for lists, and where no server offers the requested name. */
  target: Target | undefined;
  /** The task that the call is about. */
  task: TaskRef | undefined;
  decision: Decision | undefined;
  /** Whether the call is a further round of an earlier call, which was counted. */
  continues = false;
  /** Whether its intent is in the log. */
  isCommitted = false;
  attempts: Attempt[] | undefined;
  private resolved: Route | undefined;
  private readonly listeners: SettlementListener[] = [];
  private isSettled = false;

  constructor(rules: CallRules) {
    this.rules = rules;
  }

  /** The result of the resolve stage of this kind of call. Throws Error before that stage. */
  get route(): Route {
    if (this.resolved === undefined) throw new Error('the call is not resolved yet');
    return this.resolved;
  }

  set route(route: Route) {
    this.resolved = route;
  }

  /** Begins an attempt. */
  attempt(target: Target): Attempt {
    const attempt: Attempt = { target, startedAt: performance.now() };
    if (this.attempts) this.attempts.push(attempt);
    else this.attempts = [attempt];
    return attempt;
  }

  /** The settlement calls the listener that was added last first: quota, then record, then trace. */
  onSettled(listener: SettlementListener): void {
    this.listeners.push(listener);
  }

  /** Settles an answered call. Returns the error that the caller gets instead of the answer, if a listener failed. */
  answered(reply: FinalReply): Promise<GatewayError | undefined> {
    return this.settle({ status: statusOf(reply), reply, origin: reply.origin ?? this.origin });
  }

  /** Settles a failed call. Returns the error that the caller gets instead of `failure`, if a listener failed. */
  failed(failure: GatewayError): Promise<GatewayError | undefined> {
    return this.settle(this.failureOf(failure));
  }

  /** Calls all listeners, also after one that throws: those after it get the settlement of a failed call. */
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

/** All ways in which a call can end. `unknown`: the call may or may not have taken effect. */
export const STATUSES = [
  'ok',
  'tool_error',
  'protocol_error',
  'refused',
  'unreachable',
  'timed_out',
  'cancelled',
  'unknown',
] as const;

export type Status = (typeof STATUSES)[number];

export interface Settlement {
  readonly status: Status;
  /** The answer to the caller; absent where the call failed. */
  readonly reply?: FinalReply;
  /** The error of a call that failed. */
  readonly failure?: GatewayError;
  /** The instance that answered, or that the last attempt reached. */
  readonly origin?: Origin | undefined;
}

/** The status of an answered call. */
export function statusOf(reply: FinalReply): Status {
  if (reply.kind === 'error') return 'protocol_error';
  return reply.kind === 'result' && reply.result.isError === true ? 'tool_error' : 'ok';
}

/** The status of a call that failed with an error of the gateway. */
export function statusOfError(error: GatewayError): Status {
  switch (error.code) {
    case 'cancelled':
      return 'cancelled';
    case 'upstream_timed_out':
      return 'timed_out';
    case 'upstream_unreachable':
      return 'unreachable';
    case 'upstream_protocol':
    case 'upstream_message_too_large':
    case 'upstream_rejected':
      return 'protocol_error';
    case 'internal':
    case 'gateway_closed':
      // the call may have been sent before the bug or the end of the gateway
      return 'unknown';
    default:
      return ERRORS[error.code].fault === 'upstream' ? 'unknown' : 'refused';
  }
}

/** Answers a call, or throws a GatewayError. */
export type Handler = (call: Call, ctx: CallContext) => Promise<Reply>;

/** One concern of a call. A stage may refuse the call (throw), pass it on, read the reply, and listen for the settlement. */
export type Stage = (call: Call, ctx: CallContext, next: Handler) => Promise<Reply>;

/** Composes stages, the outermost first, and the last handler into one handler. */
export function compose(stages: readonly Stage[], last: Handler): Handler {
  return stages.reduceRight<Handler>((next, stage) => (call, ctx) => stage(call, ctx, next), last);
}
