// One request for all who want its answer at the same time.
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';

interface Running<T> {
  readonly answer: Promise<T>;
  readonly over: Cancellation;
  users: number;
}

export class SharedRequest<T> {
  private running: Running<T> | undefined;

  /**
   * The answer to the request that is under way, or else to the one that `begin` makes; its signal is aborted when the last of those who
   * wait has left. Throws what the request fails with, or `cancelled` as soon as `signal` is aborted.
   */
  async join(signal: CancelSignal, begin: (signal: CancelSignal) => Promise<T>): Promise<T> {
    const running = (this.running ??= this.start(begin));
    running.users++;
    const left = Promise.withResolvers<never>();
    const stay = signal.onAbort(() => left.reject(new GatewayError('cancelled', 'The caller cancelled the call.')));
    try {
      return await Promise.race([running.answer, left.promise]);
    } finally {
      stay();
      if (--running.users === 0) {
        this.forget(running);
        running.over.abort();
      }
    }
  }

  private start(begin: (signal: CancelSignal) => Promise<T>): Running<T> {
    const over = new Cancellation();
    const running = { answer: begin(over), over, users: 0 };
    const forget = () => this.forget(running);
    running.answer.then(forget, forget);
    return running;
  }

  private forget(running: Running<T>): void {
    if (this.running === running) this.running = undefined;
  }
}
