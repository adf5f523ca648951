// Calls that run as tasks at their server: begun, waited for, and cancelled with their caller.
import type { McpCall } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { type Exchange, relayed } from '../../core/exchange.ts';
import type { InFlight } from '../../core/in-flight.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { taskIdOf } from '../../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { LiveQuestions } from '../bridge/live-questions.ts';
import { type Destination, send } from '../upstream-request.ts';
import { cancelAtServer, createdAtOf, look, type TaskAt } from './upstream-task.ts';
import { pollModernTask } from './modern-task-poller.ts';
import { TaskClock } from './task-clock.ts';
import { isLegacyTask } from './tasks.ts';
import { awaitTaskResult } from './await-task-result.ts';

/** How long a server whose caller has left may take to say which task there is to be cancelled, in ms. */
const LEFT_BEHIND_MS = 1_000;

interface Created {
  readonly params: JsonObject;
  readonly exchange: Exchange;
  /** Counts tasks that nobody waits for until their servers know that. */
  readonly leaving: InFlight;
}

/** Lets a legacy server begin a task. A caller who leaves before there is one leaves none behind. Throws GatewayError. */
export async function createTask(
  call: McpCall,
  to: Destination,
  { params, exchange, leaving }: Created,
): Promise<UpstreamReply> {
  const given = new Cancellation();
  const creating = send(call, to, { params, exchange: relayed(exchange, { signal: given }) });
  const left = Promise.withResolvers<never>();
  const stay = exchange.signal.onAbort(() => {
    setTimeout(() => given.abort(), LEFT_BEHIND_MS).unref();
    const cancelling = creating
      .then((answered) =>
        isLegacyTask(answered) ? cancelAtServer(runAt(to, answered, answered.reply.result?.task)) : undefined,
      )
      .catch(() => undefined); // there is no task, or none that could be cancelled
    void leaving.track(cancelling);
    left.reject(new GatewayError('cancelled', 'The caller cancelled the call.'));
  });
  try {
    return await Promise.race([creating, left.promise]);
  } finally {
    stay();
  }
}

/** The answer that a call would have had that a legacy server runs as a task; the caller waits for it, and is asked meanwhile. Throws GatewayError. */
export async function resultOfTask(
  call: McpCall,
  to: Destination,
  { answered, exchange, leaving }: { answered: UpstreamReply; exchange: Exchange; leaving: InFlight },
): Promise<UpstreamReply> {
  const at = runAt(to, answered, answered.reply.result?.task);
  const { upstreamId } = at.task;
  const clock = new TaskClock(at.totalMs);
  const params = { taskId: upstreamId };
  const waiting = {
    method: 'tasks/result',
    params,
    exchange: timed(exchange, clock),
    principal: call.principal.id,
    task: upstreamId,
  };
  try {
    const reply = await awaitTaskResult({
      wait: (totalMs) => at.send({ ...waiting, totalMs }),
      look: () => look(at),
      leftMs: () => clock.leftMs,
      signal: exchange.signal,
    });
    return { connection: answered.connection, reply };
  } catch (error) {
    void leaving.track(cancelAtServer(at));
    throw error;
  }
}

/** The exchange of a wait that may be begun again: the clock of the whole knows what the clock of each part knows. */
function timed(exchange: Exchange, clock: TaskClock): Exchange {
  return relayed(exchange, {
    progress: (params) => {
      clock.moved();
      exchange.progress(params);
    },
    ask: async (question) => {
      clock.hold();
      try {
        return await exchange.ask(question);
      } finally {
        clock.release();
      }
    },
  });
}

/** The answer that a call would have had that a modern server made a task of. Throws GatewayError. */
export async function endOfTask(
  call: McpCall,
  to: Destination,
  { answered, questions }: { answered: UpstreamReply; questions: LiveQuestions },
): Promise<UpstreamReply> {
  const { connection } = answered;
  const created = answered.reply.result ?? {};
  const at = runAt(to, answered, created);
  let bytes = 0;
  const finished = await pollModernTask(call, created, {
    server: to.target.server,
    questions,
    at: {
      ...at,
      send: async (request) => {
        const reply = await at.send(request);
        ({ bytes } = reply);
        return reply;
      },
    },
  });
  return { connection, reply: { ...finished, bytes } };
}

/** The way to the task that came of a call, on the instance that made it. Throws `upstream_protocol` where its id cannot be used. */
function runAt({ upstream, target }: Destination, { connection }: UpstreamReply, task: unknown): TaskAt {
  const upstreamId = isObject(task) ? taskIdOf(task) : undefined;
  if (!isObject(task) || upstreamId === undefined)
    throw new GatewayError(
      'upstream_protocol',
      `The server "${target.server}" made a task without an id that can be used.`,
    );
  return {
    task: { upstreamId, createdAt: createdAtOf(task) },
    totalMs: upstream.config.timeouts.total,
    send: async (request) => (await upstream.tasks.request(connection.instance, request)).reply,
  };
}
