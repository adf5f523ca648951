// Bytes that arrive in pieces, held until they are whole.

const NOTHING = Buffer.alloc(0);
/** A buffer of up to this size is kept for what comes next; a larger one is given back. */
const KEPT_CAPACITY = 64 * 1024;
const SMALLEST = 1024;

/**
 * Holds what came as one stretch of at most twice its length, however many pieces it came in: a list of pieces costs a hundred bytes for
 * each of them, so that a sender of one byte at a time would fill the memory with what no limit on its message counts.
 */
export class ByteAccumulator {
  /** The only piece so far, not copied: most messages come in one. */
  #only: Buffer | undefined;
  #held: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a piece. A first one is kept as it is, so the caller must not write to it afterwards. */
  push(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.#length === 0) this.#only = piece;
    else this.#append(piece);
    this.#length += piece.length;
  }

  /** What is held, without copying: valid until the next `push` or `clear`. */
  bytes(): Buffer {
    return this.#only ?? this.#held.subarray(0, this.#length);
  }

  clear(): void {
    this.#only = undefined;
    this.#length = 0;
    if (this.#held.length > KEPT_CAPACITY) this.#held = NOTHING;
  }

  /** The buffer doubles, so that what comes byte by byte is copied a few times and not once for each byte. */
  #append(piece: Buffer): void {
    const before = this.bytes();
    const length = before.length + piece.length;
    const roomy = length <= this.#held.length;
    const held = roomy ? this.#held : Buffer.allocUnsafe(Math.max(length, 2 * this.#held.length, SMALLEST));
    if (!roomy || this.#only) before.copy(held);
    piece.copy(held, before.length);
    this.#held = held;
    this.#only = undefined;
  }
}
