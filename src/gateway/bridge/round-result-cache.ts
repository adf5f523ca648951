// Keeps the reply to the answers of one round, for a client that sends the same answers again (wire.md, Questions 2).
import { GatewayError } from '../../core/errors.ts';
import { estimateHeap, type JsonObject, type JsonValue } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { digestOf } from './request-state.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';

export class RoundResultCache {
  private readonly digest: string;
  private reply: Promise<Reply> | SerializedReply;

  /** `reply`: the reply to these answers. */
  constructor(responses: JsonObject, reply: Promise<Reply>) {
    this.digest = digestOf(responses);
    this.reply = reply;
  }

  /** The size of the kept reply, in bytes. */
  get bytes(): number {
    return this.reply instanceof SerializedReply ? this.reply.bytes : 0;
  }

  /** Serializes the reply, to keep it. A failure is small and stays as it is. */
  settled(reply: Reply): void {
    this.reply = new SerializedReply(reply);
  }

  /** The reply, for the same answers. Throws `invalid_params` for other answers. */
  again(responses: JsonObject): Promise<Reply> {
    if (this.digest !== digestOf(responses))
      throw new GatewayError('invalid_params', 'This `params.requestState` was already used with other answers.');
    return this.reply instanceof SerializedReply ? Promise.resolve(this.reply.open()) : this.reply;
  }
}

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
