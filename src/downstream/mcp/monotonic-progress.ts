// Makes the progress of one call rise monotonically, although each of its requests to the server counts from the beginning.
import { type JsonObject, numberOf } from '../../core/json.ts';

/** An increment that is too small to change how a client shows the server's own numbers. */
const STEP = 1e-6;

/** The progress that the caller gets; each value must be greater than the one before (basic/utilities/progress). */
export class MonotonicProgress {
  /** The last value that the caller got. */
  private reached: number | undefined;
  /** The last value of the server. */
  private received = -Infinity;
  /** What the caller had reached when the server began to count anew. */
  private base = 0;

  /** The `progress` and `total` for the caller. A call may take several rounds, each of which counts from its own beginning. */
  next(params: JsonObject): JsonObject {
    const [progress, total] = [numberOf(params.progress), numberOf(params.total)];
    if (progress !== undefined && progress < this.received) this.base = this.reached ?? 0;
    if (progress !== undefined) this.received = progress;
    const counted = this.base + this.received;
    const rises = Number.isFinite(counted) && (this.reached === undefined || counted > this.reached);
    const next = rises ? (this.reached = counted) : this.more();
    return { progress: next, ...(total !== undefined && { total: this.base + total }) };
  }

  /** A value just above the last one. */
  more(): number {
    const reached = this.reached ?? 0;
    return (this.reached = reached + Math.max(STEP, Math.abs(reached) * 2 * Number.EPSILON));
  }
}
