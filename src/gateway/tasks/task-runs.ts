// Calls that run as tasks at their server: begun, waited for, and cancelled with their caller.
import type { Call } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { type Exchange, relayed } from '../../core/exchange.ts';
import type { InFlight } from '../../core/in-flight.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { taskIdOf } from '../../protocol/mcp/tasks.ts';
import type { ConnectionRequest } from '../../upstream/mcp/connect/connection.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { LiveQuestions } from '../bridge/live-questions.ts';
import { type Destination, send } from '../sending.ts';
import { finishTask } from './finish-task.ts';
import { TaskClock } from './task-clock.ts';
import { isLegacyTask } from './tasks.ts';
import { untilEnd } from './until-end.ts';

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
  call: Call,
  to: Destination,
  { params, exchange, leaving }: Created,
): Promise<UpstreamReply> {
  const given = new Cancellation();
  const creating = send(call, to, { params, exchange: relayed(exchange, { signal: given }) });
  const left = Promise.withResolvers<never>();
  const stay = exchange.signal.onAbort(() => {
    setTimeout(() => given.abort(), LEFT_BEHIND_MS).unref();
    const cancelling = creating.then(
      (answered) => cancelTask(to, answered),
      () => undefined, // there is no task
    );
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
  call: Call,
  to: Destination,
  { answered, exchange, leaving }: { answered: UpstreamReply; exchange: Exchange; leaving: InFlight },
): Promise<UpstreamReply> {
  const task = taskIn(answered.reply.result?.task, to);
  const { total } = to.upstream.config.timeouts;
  const { connection } = answered;
  const ask = async (request: ConnectionRequest) =>
    (await to.upstream.tasks.request(connection.instance, request)).reply;
  const params = { taskId: task };
  const clock = new TaskClock(total);
  const waiting = {
    method: 'tasks/result',
    params,
    exchange: timed(exchange, clock),
    principal: call.principal.id,
    task,
  };
  try {
    const reply = await untilEnd({
      wait: (totalMs) => ask({ ...waiting, totalMs }),
      look: () => ask({ method: 'tasks/get', params, totalMs: total }),
      leftMs: () => clock.leftMs,
      signal: exchange.signal,
    });
    return { connection, reply };
  } catch (error) {
    void leaving.track(cancelTask(to, answered));
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
  call: Call,
  to: Destination,
  { answered, questions }: { answered: UpstreamReply; questions: LiveQuestions },
): Promise<UpstreamReply> {
  const { connection } = answered;
  const created = answered.reply.result ?? {};
  const taskId = taskIn(created, to);
  const { total } = to.upstream.config.timeouts;
  let bytes = 0;
  const finished = await finishTask(call, created, {
    server: to.target.server,
    totalMs: total,
    questions,
    send: async (method, params) => {
      const request = { method, params: { ...params, taskId }, totalMs: total, capabilities: {}, tasks: true };
      const { reply } = await to.upstream.tasks.request(connection.instance, request);
      ({ bytes } = reply);
      return reply;
    },
  });
  return { connection, reply: { ...finished, bytes } };
}

/** Ends a task that nobody waits for; where that fails, it ends with its time. Never throws. */
async function cancelTask({ upstream }: Destination, answered: UpstreamReply): Promise<void> {
  if (!isLegacyTask(answered)) return;
  const task = answered.reply.result?.task;
  const taskId = isObject(task) ? taskIdOf(task) : undefined;
  if (taskId === undefined) return;
  const request = { method: 'tasks/cancel', params: { taskId }, totalMs: upstream.config.timeouts.total };
  await upstream.tasks.request(answered.connection.instance, request).catch(() => undefined);
}

function taskIn(task: unknown, { target }: Destination): string {
  const id = isObject(task) ? taskIdOf(task) : undefined;
  if (id !== undefined) return id;
  throw new GatewayError(
    'upstream_protocol',
    `The server "${target.server}" made a task without an id that can be used.`,
  );
}
