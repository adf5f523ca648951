// Every listening to tasks at modern servers: those of one principal at one instance share it.
import type { TaskRef } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { unknownTask } from '../../core/errors.ts';
import type { CallerFacts } from '../../upstream/mcp/instances/affinity.ts';
import type { Upstream } from '../../upstream/mcp/upstream.ts';
import { sendToTask } from './upstream-task.ts';
import { TaskSubscription } from './task-subscription.ts';

type UpstreamOf = (name: string) => Upstream | undefined;

export class TaskSubscriptions {
  private readonly open = new Map<string, TaskSubscription>();

  /** The one for the server and the instance of a task, for its principal; the server is whatever `upstreamOf` has under its name at the time. */
  of(task: TaskRef, { principal, exchange }: CallerFacts, upstreamOf: UpstreamOf): TaskSubscription {
    const { server } = task.target;
    const key = JSON.stringify([server, task.instance, principal.id]);
    const found = this.open.get(key);
    if (found) return found;
    // it outlives the call that began it
    const caller = { principal, exchange: { capabilities: exchange.capabilities, signal: new Cancellation() } };
    const listen: TaskSubscription = new TaskSubscription({
      send: async (request) => {
        const upstream = upstreamOf(server);
        if (!upstream) throw unknownTask();
        return (await sendToTask(upstream, { task, request, caller })).reply;
      },
      place: () => upstreamOf(server)?.tasks.stand(task.instance, principal.id),
      ended: () => {
        if (this.open.get(key) === listen) this.open.delete(key);
      },
    });
    this.open.set(key, listen);
    return listen;
  }
}
