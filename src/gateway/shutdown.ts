// The end of the gateway's work: no new calls, some time for those in flight, then an error for what is left.
import { Cancellation, type CancelSignal } from '../core/cancellation.ts';
import type { InFlight } from '../core/in-flight.ts';
import type { StateDirectory } from '../storage/state-directory.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Upstreams } from './upstreams.ts';

/** How long calls in flight may take to finish when the gateway stops. */
const STOP_DRAIN_MS = 10_000;

/** How long servers may take to hear that nobody wants their tasks any more, and calls that are cut short to end with an error. */
const TASKS_DRAIN_MS = 2_000;
const LAST_ANSWERS_MS = 1_000;

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

  /** Aborted when the gateway stops: it takes no new calls, and standing calls end well. */
  get stopping(): CancelSignal {
    return this.begun.signal;
  }

  /** Aborted when the gateway does not wait any longer: every call that is left ends now. */
  get ending(): CancelSignal {
    return this.cut.signal;
  }

  /**
   * Takes no new calls; resolves when those in flight have ended. Standing calls end at once; whatever does not end within 10 s is cancelled at
   * its server and ends with `gateway_closed`.
   */
  drain(parts: DrainParts): Promise<void> {
    return (this.drained ??= this.endCalls(parts));
  }

  private async endCalls({ inFlight, tasks, upstreams, directory }: DrainParts): Promise<void> {
    this.begun.abort();
    upstreams.quiesce();
    // what ends after the state directory is lost cannot be recorded, so it is not waited for
    if (directory.isHeld()) await inFlight.settled(STOP_DRAIN_MS);
    this.cut.abort();
    // what a server works on for nobody has to be cancelled while it can be told
    await tasks.registry.cancellations.settled(TASKS_DRAIN_MS);
    if (inFlight.size === 0) return;
    await upstreams.stop();
    await inFlight.settled(LAST_ANSWERS_MS);
  }
}
