// A reply that is kept for whoever comes back for it: as its JSON, which takes no more memory than it counts, unless that is large.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { JsonValue } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { estimateHeap } from '../../core/heap-estimate.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';

export class SerializedReply {
  /** What it takes, in bytes. */
  readonly bytes: number;
  private readonly held: Buffer | Reply;

  /** A large one stays as it is: to write it, and to read it again, would each hold up everybody else. */
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
