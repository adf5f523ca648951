// The order of the stages, written once.
import type { AuditLog } from '../audit/audit-log.ts';
import { auditStage } from '../audit/stage.ts';
import type { Call } from '../core/call.ts';
import { compose, type Handler } from '../core/stage.ts';
import { authorizeStage, decideCall } from '../policy/authorize.ts';
import type { Policy } from '../policy/policy.ts';
import type { InFlightMemory } from '../quota/in-flight-memory.ts';
import { type CallLedger, quotaStage } from '../quota/count.ts';
import type { Logger } from '../telemetry/logger.ts';
import { traceStage } from '../telemetry/trace.ts';
import { type Watcher, watchStage } from './watcher.ts';

export interface PipelineParts {
  readonly logger: Logger;
  readonly audit: AuditLog;
  readonly policy: Policy;
  readonly ledger: CallLedger;
  readonly room: InFlightMemory;
  /** Whether a call is a further round of one that was counted. */
  readonly goesOn: (call: Call) => boolean;
  readonly configHash: string;
  readonly watcher?: Watcher | undefined;
  readonly dispatch: Handler;
}

/** Builds the one way of a call, outermost stage first. Audit stands outside authorize and quota, so that a refusal is recorded too. */
export function buildPipeline(parts: PipelineParts): Handler {
  const { logger, audit, policy, configHash, watcher, dispatch } = parts;
  return compose(
    [
      /* watch     */ ...(watcher ? [watchStage(watcher)] : []),
      /* trace     */ traceStage(logger),
      /* audit     */ auditStage(audit, { decide: (call) => decideCall(policy, call), configHash }),
      /* authorize */ authorizeStage(policy),
      /* quota     */ quotaStage(parts),
    ],
    /* dispatch  */ dispatch,
  );
}
