// Somebody who looks on while the gateway works: told of calls, servers and reloads as they happen, in words of the core.
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import { forOperator, type GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { FinalReply } from '../core/reply.ts';
import type { Status } from '../core/settlement.ts';
import type { Stage } from '../core/stage.ts';

/** A call that has ended; `reason`: why it is not `ok`. */
export interface EndedCall extends Pick<CallContext, 'target' | 'requested'> {
  readonly call: Call;
  readonly status: Status;
  readonly reason?: string | undefined;
}

/** Absent where nobody looks; then no call costs anything for it. What it is told is as clients and servers say it: not clean. */
export interface Watcher {
  /** Something beside calls, as it stands in the log. */
  event(event: string, detail: JsonObject): void;
  /** A server is in another state than before. */
  serverChanged(server: string): void;
  callEnded(ended: EndedCall): void;
  /** A configuration is in force; `again`: after an edit that could not be used. */
  reloaded(news: { readonly touched: readonly string[]; readonly again: boolean }): void;
}

/** Tells of every call that has ended, refused ones too. */
export function watchStage(watcher: Watcher): Stage {
  return (call, ctx, next) => {
    ctx.onSettled(({ status, failure, reply }) => {
      const reason = failure ? reasonOf(failure) : reply && reasonIn(reply);
      watcher.callEnded({ call, target: ctx.target, requested: ctx.requested, status, reason });
    });
    return next(call, ctx);
  };
}

/** Callers are told that what is denied does not exist; whoever looks on is the operator. */
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
