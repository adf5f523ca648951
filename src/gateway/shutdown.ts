// Stops the calls of the gateway: it takes no new ones, waits for those in flight, and ends the rest with an error.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { Cancellation, type CancelSignal } from '../core/cancellation.ts';
import type { InFlight } from '../core/in-flight.ts';
import type { StateDirectory } from '../storage/state-directory.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Upstreams } from './upstreams.ts';

export interface DrainParts {
  readonly inFlight: InFlight;
  readonly tasks: Tasks;
  readonly upstreams: Upstreams;
  readonly directory: StateDirectory;
}

export class Shutdown {
  private readonly begun = new Cancellation();
  private readonly cut = new Cancellation();
  private drained: Promise<void> | undefined;

  /** Aborted when the gateway stops: it takes no new calls, and listeners get their result. */
  get stopping(): CancelSignal {
    return this.begun.signal;
  }

  /** Aborted when the gateway no longer waits for calls in flight: every call that is left ends now. */
  get ending(): CancelSignal {
    return this.cut.signal;
  }

  /**
   * Takes no new calls. Resolves when those in flight have ended. Listeners end at once. A call that does not end in time is cancelled at its
   * server and fails with `gateway_closed`.
   */
  drain(parts: DrainParts): Promise<void> {
    return (this.drained ??= this.endCalls(parts));
  }

  private async endCalls({ inFlight, tasks, upstreams, directory }: DrainParts): Promise<void> {
    this.begun.abort();
    upstreams.quiesce();
    // without the state directory no outcome can be recorded, so the gateway waits for no call
    if (directory.isHeld()) await inFlight.settled(BOUNDS.stopDrain);
    this.cut.abort();
    // the servers must still run when the gateway cancels tasks there
    await tasks.registry.cancellations.settled(BOUNDS.stopTaskCancellation);
    if (inFlight.size === 0) return;
    await upstreams.stop();
    await inFlight.settled(BOUNDS.stopLastAnswers);
  }
}
