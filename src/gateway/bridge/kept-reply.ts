// A reply that is kept for whoever comes back for it: as its JSON, which takes no more memory than it counts.
import type { Reply } from '../../core/reply.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';

export class KeptReply {
  private readonly json: Buffer;

  constructor(reply: Reply) {
    this.json = Buffer.from(JSON.stringify(reply));
  }

  /** What it takes, in bytes. */
  get bytes(): number {
    return this.json.length;
  }

  open(): Reply {
    return parseStrict(this.json.toString(), { depth: Infinity, uniqueKeys: false }) as unknown as Reply;
  }
}
