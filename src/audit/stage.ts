// The stages that write the record: the gateway dispatches a call after its intent is committed, and answers it after its outcome is.
import type { Stage } from '../core/stage.ts';
import type { AuditLog } from './audit-log.ts';
import { intentOf, outcomeOf } from './record.ts';

type Log = Pick<AuditLog, 'append'>;

/**
 * Appends the outcome of every call at its settlement, and before it the intent where the call never reached the commit stage. The
 * settlement fails with `audit_unavailable` where the record cannot be written.
 */
export function auditStage(log: Log): Stage {
  return (call, ctx, next) => {
    ctx.onSettled((settlement) => {
      const intent = ctx.isCommitted ? undefined : log.append(intentOf(call, ctx));
      const outcome = log.append(outcomeOf(call, settlement));
      return intent ? Promise.all([intent, outcome]).then(() => undefined) : outcome;
    });
    return next(call, ctx);
  };
}

/** Commits the intent before the call is dispatched. Throws `audit_unavailable`. */
export function commitStage(log: Log): Stage {
  return async (call, ctx, next) => {
    await log.append(intentOf(call, ctx));
    ctx.isCommitted = true;
    return next(call, ctx);
  };
}
