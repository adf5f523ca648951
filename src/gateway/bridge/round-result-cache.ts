// Keeps the reply to the answers of one round, for a client that sends the same answers again (wire.md, Questions 2).
import { GatewayError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { SerializedReply } from './serialized-reply.ts';
import { digestOf } from './request-state.ts';

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
