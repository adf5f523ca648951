// A round of questions that was answered: the same answers get the same reply (wire.md, Questions 2).
import { GatewayError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { KeptReply } from './kept-reply.ts';
import { digestOf } from './request-state.ts';

export class AnsweredRound {
  private readonly digest: string;
  private held: Promise<Reply> | KeptReply;

  /** `reply` is what comes of the answers. */
  constructor(responses: JsonObject, reply: Promise<Reply>) {
    this.digest = digestOf(responses);
    this.held = reply;
  }

  /** What is kept of it, in bytes. */
  get bytes(): number {
    return this.held instanceof KeptReply ? this.held.bytes : 0;
  }

  /** The reply is there, and is kept from now on. A failure needs no keeping: it is small. */
  settled(reply: Reply): void {
    this.held = new KeptReply(reply);
  }

  /** The reply, for whoever gives the same answers. Throws `invalid_params` for others. */
  again(responses: JsonObject): Promise<Reply> {
    if (this.digest !== digestOf(responses))
      throw new GatewayError('invalid_params', 'This `params.requestState` was already used with other answers.');
    return this.held instanceof KeptReply ? Promise.resolve(this.held.open()) : this.held;
  }
}
