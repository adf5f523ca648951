// A reply that is kept for a retry: as its JSON, whose size in memory is known, unless it is large.
import type { JsonValue } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { estimateHeap } from '../../core/heap-estimate.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
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
