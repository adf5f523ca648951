// Stops the calls of the gateway: it takes no new ones, waits for those in flight, and ends the rest with an error.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { Cancellation, type CancelSignal } from '../core/cancellation.ts';
import type { Parts } from './compose.ts';

type DrainParts = Pick<Parts, 'inFlight' | 'tasks' | 'upstreams' | 'storage'>;

export class Shutdown {
  private readonly begun = new Cancellation();
  private readonly cut = new Cancellation();
  /** Aborted when the gateway stops: it takes no new calls, and listeners get their result. */
  readonly stopping: CancelSignal = this.begun;
  /** Aborted when the gateway no longer waits for calls in flight: every call that is left ends now. */
  readonly ending: CancelSignal = this.cut;
  private drained: Promise<void> | undefined;

  /**
   * Takes no new calls. Resolves when those in flight have ended. Listeners end at once. A call that does not end in time is cancelled at its
   * server and fails with `gateway_closed`.
   */
  drain(parts: DrainParts): Promise<void> {
    return (this.drained ??= this.endCalls(parts));
  }

  private async endCalls({ inFlight, tasks, upstreams, storage }: DrainParts): Promise<void> {
    this.begun.abort();
    upstreams.quiesce();
    // without the state directory no outcome can be recorded, so the gateway waits for no call
    if (storage.directory.isHeld()) await inFlight.settled(BOUNDS.stopDrain);
    this.cut.abort();
    // the servers must still run when the gateway cancels tasks there
    await tasks.registry.cancellations.settled(BOUNDS.stopTaskCancellation);
    if (inFlight.size === 0) return;
    await upstreams.stop();
    await inFlight.settled(BOUNDS.stopLastAnswers);
  }
}
