// The pipeline: the stages that every call passes, in their order.
import type { AuditLog } from '../audit/audit-log.ts';
import { auditStage, commitStage } from '../audit/stage.ts';
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError } from '../core/errors.ts';
import type { Reply } from '../core/reply.ts';
import { compose, type Handler, type Stage } from '../core/stage.ts';
import { authorizeStage } from '../policy/authorize.ts';
import type { InFlightMemory } from '../quota/in-flight-memory.ts';
import { admitStage, quotaStage } from '../quota/stage.ts';
import type { Logger } from '../telemetry/logger.ts';
import { traceStage } from '../telemetry/trace.ts';
import { type Watcher, watchStage } from './watcher.ts';

/** A kind of call, for example MCP requests: how its names are looked up, and how it is answered. */
export interface CallKind {
  /** Looks up what the call names, and writes it into the context. A promise only where it waits. Throws GatewayError where the call is malformed. */
  resolve(call: Call, ctx: CallContext): Promise<void> | undefined;
  /** Answers the call. Throws GatewayError. */
  dispatch(call: Call, ctx: CallContext): Promise<Reply>;
}

export interface PipelineParts {
  readonly logger: Logger;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly memory: InFlightMemory;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  readonly watcher?: Watcher | undefined;
  /** By `Call.kind`. */
  readonly kinds: Readonly<Record<string, CallKind>>;
}

/**
 * Composes the stages, the outermost first. Audit is outside the stages that can refuse a call, so that it records refusals too. Commit
 * writes the intent and is the last, so that no server gets a call before its record is written.
 */
export function buildPipeline({ logger, audit, memory, watcher, stopping, kinds }: PipelineParts): Handler {
  return compose(
    [
      /* watch     */ ...(watcher ? [watchStage(watcher)] : []),
      /* trace     */ traceStage(logger),
      /* audit     */ auditStage(audit),
      /* admit     */ admitStage(memory, stopping),
      /* resolve   */ resolveStage(kinds),
      /* authorize */ authorizeStage,
      /* quota     */ quotaStage(memory),
      /* commit    */ commitStage(audit),
    ],
    /* dispatch  */ (call, ctx) => kindOf(kinds, call).dispatch(call, ctx),
  );
}

function resolveStage(kinds: PipelineParts['kinds']): Stage {
  return (call, ctx, next) => {
    const resolving = kindOf(kinds, call).resolve(call, ctx);
    return resolving ? resolving.then(() => next(call, ctx)) : next(call, ctx);
  };
}

function kindOf(kinds: PipelineParts['kinds'], { kind }: Call): CallKind {
  const found = kinds[kind];
  if (!found) throw new GatewayError('internal', `The pipeline knows no calls of the kind "${kind}".`);
  return found;
}
