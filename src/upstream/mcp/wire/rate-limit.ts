// Limits how many messages pass in one second.

const WINDOW_MS = 1_000;

/** Admits up to `limit` messages in the second that begins with the first of them. */
export class RateLimit {
  private readonly limit: number;
  private since = -Infinity;
  private count = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  admits(): boolean {
    const now = performance.now();
    if (now - this.since >= WINDOW_MS) {
      this.since = now;
      this.count = 0;
    }
    return ++this.count <= this.limit;
  }
}
