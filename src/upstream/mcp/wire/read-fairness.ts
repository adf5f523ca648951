// Interrupts reading from a server that sends without end, so that the event loop serves everybody else.
import { BOUNDS } from '../../../core/bounds/bounds.ts';

/** A source of bytes. */
export interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/** Counts what is read of one server. Small messages cost one addition. */
export class ReadFairness {
  private bytes = 0;

  /** Counts bytes that were read. When there were many, pauses the source until the next turn of the event loop. */
  read(bytes: number, source: Pausable): void {
    this.bytes += bytes;
    if (this.bytes < BOUNDS.readTurn) return;
    this.bytes = 0;
    source.pause();
    setImmediate(() => source.resume());
  }
}
