// A round of questions that was answered: the same answers get the same reply (wire.md, Questions 2).
import { GatewayError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { SerializedReply } from './serialized-reply.ts';
import { digestOf } from './request-state.ts';

export class RoundResultCache {
  private readonly digest: string;
  private held: Promise<Reply> | SerializedReply;

  /** `reply` is what comes of the answers. */
  constructor(responses: JsonObject, reply: Promise<Reply>) {
    this.digest = digestOf(responses);
    this.held = reply;
  }

  /** What is kept of it, in bytes. */
  get bytes(): number {
    return this.held instanceof SerializedReply ? this.held.bytes : 0;
  }

  /** The reply is there, and is kept from now on. A failure needs no keeping: it is small. */
  settled(reply: Reply): void {
    this.held = new SerializedReply(reply);
  }

  /** The reply, for whoever gives the same answers. Throws `invalid_params` for others. */
  again(responses: JsonObject): Promise<Reply> {
    if (this.digest !== digestOf(responses))
      throw new GatewayError('invalid_params', 'This `params.requestState` was already used with other answers.');
    return this.held instanceof SerializedReply ? Promise.resolve(this.held.open()) : this.held;
  }
}
