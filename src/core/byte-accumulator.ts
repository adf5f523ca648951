// Collects bytes that arrive in pieces until a message is complete.
import { BOUNDS } from './bounds/bounds.ts';

const NOTHING = Buffer.alloc(0);
const SMALLEST = 1024;

/**
 * Holds the bytes in one buffer of at most twice their length, in however many pieces they arrive. A list of pieces would take a hundred
 * bytes for each, so that a peer that sends single bytes would fill memory that no limit on its message counts.
 */
export class ByteAccumulator {
  /** The only piece so far, not copied, since most messages arrive in one. */
  #only: Buffer | undefined;
  #held: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a piece. It keeps the first piece without a copy, so the caller must not write to that afterwards. */
  push(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.#length === 0) this.#only = piece;
    else this.#append(piece);
    this.#length += piece.length;
  }

  /** The bytes so far, without a copy: valid until the next `push` or `clear`. */
  bytes(): Buffer {
    return this.#only ?? this.#held.subarray(0, this.#length);
  }

  clear(): void {
    this.#only = undefined;
    this.#length = 0;
    if (this.#held.length > BOUNDS.keptBuffer) this.#held = NOTHING;
  }

  /** Doubles the buffer where it is full, so that single bytes are copied a few times and not for each byte. */
  #append(piece: Buffer): void {
    const before = this.bytes();
    const length = before.length + piece.length;
    const fits = length <= this.#held.length;
    const held = fits ? this.#held : Buffer.allocUnsafe(Math.max(length, 2 * this.#held.length, SMALLEST));
    if (!fits || this.#only) before.copy(held);
    piece.copy(held, before.length);
    this.#held = held;
    this.#only = undefined;
  }
}
