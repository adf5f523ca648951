// One request that waits for its answer: settled exactly once, whoever comes first of answer, caller, clock and channel.
import { GatewayError } from '../../core/errors.ts';
import { type JsonObject } from '../../core/json.ts';
import { type Deadline, type Deadlines } from './deadlines.ts';
import { HARD_LIMIT_MS, type WireReply, type WireRequest } from './wire.ts';

export interface PendingOptions {
  readonly server: string;
  readonly deadlines: Deadlines;
  /** Called when the caller or the clock ends the request before its answer, to tell the server. */
  onAbandon(reason: string): void;
}

/** The state of one request in flight. */
export class Pending {
  readonly promise: Promise<WireReply>;
  readonly request: WireRequest;
  private readonly deadline: Deadline | undefined;
  private resolve!: (reply: WireReply) => void;
  private reject!: (error: unknown) => void;
  private settled = false;

  constructor(request: WireRequest, options: PendingOptions) {
    this.request = request;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    const abandon = (error: GatewayError) => {
      if (this.fail(error)) options.onAbandon(error.message);
    };
    if (Number.isFinite(request.totalMs)) {
      this.deadline = options.deadlines.start(request.totalMs, HARD_LIMIT_MS, () =>
        abandon(
          new GatewayError(
            'upstream_timed_out',
            `The server "${options.server}" did not answer ${request.method} within ${request.totalMs / 1000} s (timeouts.total).`,
          ),
        ),
      );
    }
    const signal = request.exchange?.signal;
    if (signal?.aborted === true) this.fail(new GatewayError('cancelled', 'The caller cancelled the call.'));
    else if (signal) {
      // never taken back: the signal is this call's own and dies with it
      signal.onAbort(() => abandon(new GatewayError('cancelled', 'The caller cancelled the call.')));
    }
  }

  get done(): boolean {
    return this.settled;
  }

  /** The params to send: with the wire's own progress token where the caller wants progress. */
  paramsFor(token: number): JsonObject {
    const { params, exchange } = this.request;
    if (!exchange?.wantsProgress) return params;
    return { ...params, _meta: { ...(params._meta as JsonObject | undefined), progressToken: token } };
  }

  succeed(reply: WireReply): void {
    if (this.settle()) this.resolve(reply);
  }

  /** Returns whether this was what ended the request. */
  fail(error: unknown): boolean {
    const first = this.settle();
    if (first) this.reject(error);
    return first;
  }

  /** Passes a notification of this request on to its caller; progress restarts the clock. */
  notify(method: string, params: JsonObject): void {
    if (this.settled) return;
    if (method === 'notifications/progress') {
      this.deadline?.extend();
      const { progressToken: _token, ...progress } = params;
      this.request.exchange?.progress(progress);
    } else if (method === 'notifications/message') {
      this.request.exchange?.log(params);
    } else {
      this.request.onNotification?.(method, params);
    }
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.deadline?.clear();
    return true;
  }
}
