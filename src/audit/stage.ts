// The stage that keeps the record: no call before its intent is committed, no answer before its outcome is.
import type { Call } from '../core/call.ts';
import type { Decision } from '../core/decision.ts';
import type { Reply } from '../core/reply.ts';
import type { Stage } from '../core/stage.ts';
import type { AuditLog } from './audit-log.ts';
import { failureOf, intentOf, outcomeOf } from './record.ts';

/** What the record says about a call that the call itself does not know. */
export interface AuditStageOptions {
  /** The decision that authorize will act on; the record carries it. */
  readonly decide: (call: Call) => Decision;
  /** Hash of the configuration in force. */
  readonly configHash: string;
}

/** Records every call around authorize and quota. Throws `audit_unavailable` instead of answering without a record. */
export function auditStage(log: Pick<AuditLog, 'append'>, options: AuditStageOptions): Stage {
  return async (call, next) => {
    await log.append(intentOf(call, options.decide(call), options.configHash));
    let reply: Reply;
    try {
      reply = await next(call);
    } catch (thrown) {
      await log.append(failureOf(call, thrown));
      throw thrown;
    }
    await log.append(outcomeOf(call, reply));
    return reply;
  };
}
