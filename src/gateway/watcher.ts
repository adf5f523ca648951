// The watcher: gets every call, change of a server and reload as it happens, for the screen of `serve`.
import type { Call } from '../core/call.ts';
import type { CallContext, Stage, Status } from '../core/call-context.ts';
import { forOperator, type GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { FinalReply } from '../core/reply.ts';

/** A call that has ended. `reason`: why its status is not `ok`. */
export interface EndedCall extends Pick<CallContext, 'target' | 'requested'> {
  readonly call: Call;
  readonly status: Status;
  readonly reason?: string | undefined;
}

/** Absent where nothing shows the events; then calls have no cost for it. Texts of clients and servers come to it unsanitized. */
export interface Watcher {
  /** An event, as the audit log has it. */
  event(event: string, detail: JsonObject): void;
  /** The state of a server changed. */
  serverChanged(server: string): void;
  callEnded(ended: EndedCall): void;
  /** A configuration was put in force. `again`: it is the one that was in force before a refused edit. */
  reloaded(reload: { readonly touched: readonly string[]; readonly again: boolean }): void;
}

/** The stage that reports every ended call to the watcher, refused ones too. */
export function watchStage(watcher: Watcher): Stage {
  return (call, ctx, next) => {
    ctx.onSettled(({ status, failure, reply }) => {
      const reason = failure ? reasonOf(failure) : reply && reasonIn(reply);
      watcher.callEnded({ call, target: ctx.target, requested: ctx.requested, status, reason });
    });
    return next(call, ctx);
  };
}

/** The watcher shows calls to the operator, who may see which rule denied a target; callers get only `unknown_target`. */
function reasonOf({ code, message, detail }: GatewayError): string {
  if (code !== 'unknown_target' && code !== 'resource_not_found') return forOperator(message, detail);
  return detail === undefined ? message : `denied by ${detail}`;
}

function reasonIn(reply: FinalReply): string | undefined {
  if (reply.kind === 'error') return reply.error.message;
  if (reply.kind !== 'result' || reply.result.isError !== true) return undefined;
  const [first] = Array.isArray(reply.result.content) ? reply.result.content : [];
  return isObject(first) && typeof first.text === 'string' ? first.text : undefined;
}
