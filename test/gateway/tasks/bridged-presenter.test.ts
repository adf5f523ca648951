// A legacy server's task for a modern client: what the gateway keeps of its outcome.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { BridgedPresenter } from '../../../src/gateway/tasks/bridged-presenter.ts';
import { Task } from '../../../src/gateway/tasks/task.ts';
import { UpstreamTask } from '../../../src/gateway/tasks/upstream-task.ts';
import { answeredWith } from './answered.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const target = { kind: 'tool', server: 'one', exposed: 'one__job', original: 'job' } as const;
const ref: TaskRef = { id: 'sealed', kind: 'bridged', upstreamId: '1', instance: 'one#1', target };
const described = { taskId: '1', status: 'working' };

test('the outcome of a task is kept as JSON text alone, not as the parsed message', async () => {
  const ended = Promise.withResolvers<string>();
  let result: JsonObject | undefined = { content: [{ type: 'text', text: 'done' }] };
  const read = new WeakRef(result);
  const upstream = new UpstreamTask(ref, {
    totalMs: 1_000,
    send: ({ method }) => {
      const reply = method === 'tasks/get' ? described : (result ?? {});
      if (method !== 'tasks/get') result = undefined;
      return answeredWith({ result: reply, bytes: 1 });
    },
  });
  const onEnded = ended.resolve;
  const task = new Task({ ref, principal: LOCAL, upstream, described, endsByStatus: false, onEnded });
  const kept = new BridgedPresenter(task, { capabilities: {}, ttlMs: 60_000, admits: () => true });
  expect(await ended.promise).toBe('completed');
  await new Promise(setImmediate);
  collect();

  expect(read.deref()).toBeUndefined();
  expect(kept.describe()).toMatchObject({ status: 'completed', result: { content: [{ text: 'done' }] } });
});
