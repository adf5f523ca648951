// A reply that is kept for a client that retries, as small as it can be without a delay of other calls.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { estimateHeap, type JsonValue } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';

export class SerializedReply {
  /** Its size in memory, in bytes. */
  readonly bytes: number;
  private readonly held: Buffer | Reply;

  /** A large reply stays as it is: writing and parsing it would delay other calls. */
  constructor(reply: Reply) {
    const isLarge = reply.origin !== undefined && reply.origin.bytes > BOUNDS.slicedMessage;
    this.held = isLarge ? reply : Buffer.from(JSON.stringify(reply));
    this.bytes = Buffer.isBuffer(this.held) ? this.held.length : estimateHeap(this.held as unknown as JsonValue);
  }

  open(): Reply {
    if (!Buffer.isBuffer(this.held)) return this.held;
    return parseStrict(this.held.toString(), { depth: Infinity, uniqueKeys: false }) as unknown as Reply;
  }
}
