// Reading in turns: what a server sends without end must not keep the event loop from everybody else.
import { BOUNDS } from '../../../core/bounds/bounds.ts';

/** Something that can be read less of. */
export interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/** Counts what is read of one source, and lets every other source come in between. Small messages cost one addition. */
export class ReadFairness {
  private bytes = 0;

  /** Notes that this much was read; from time to time the source has to wait until the event loop has been round. */
  took(bytes: number, source: Pausable): void {
    this.bytes += bytes;
    if (this.bytes < BOUNDS.readTurn) return;
    this.bytes = 0;
    source.pause();
    setImmediate(() => source.resume());
  }
}
