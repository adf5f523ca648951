// How far one call is, in numbers that only rise, whatever the requests that it takes at its server count from.
import { type JsonObject, numberOf } from '../../core/json.ts';

/** So little progress that the server's own numbers stay what they are. */
const STEP = 1e-6;

/** The progress that one caller is told of; each must be more than the one before (basic/utilities/progress). */
export class MonotonicProgress {
  private reached: number | undefined;
  /** What the server said last. */
  private said = -Infinity;
  /** Where the server began to count anew. */
  private base = 0;

  /** The `progress` and `total` to tell. A call may take several rounds, each of which counts from its own beginning. */
  next(said: JsonObject): JsonObject {
    const [progress, total] = [numberOf(said.progress), numberOf(said.total)];
    if (progress !== undefined && progress < this.said) this.base = this.reached ?? 0;
    if (progress !== undefined) this.said = progress;
    const counted = this.base + this.said;
    const rises = Number.isFinite(counted) && (this.reached === undefined || counted > this.reached);
    const told = rises ? (this.reached = counted) : this.more();
    return { progress: told, ...(total !== undefined && { total: this.base + total }) };
  }

  /** A little more than was told before. */
  more(): number {
    const reached = this.reached ?? 0;
    return (this.reached = reached + Math.max(STEP, Math.abs(reached) * 2 * Number.EPSILON));
  }
}
