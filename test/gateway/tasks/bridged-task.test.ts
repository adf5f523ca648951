// A legacy server's task for a modern client: what is kept of its end.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { BridgedTask } from '../../../src/gateway/tasks/bridged-task.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const target = { kind: 'tool', server: 'one', exposed: 'one__job', original: 'job' } as const;
const ref: TaskRef = { id: 'sealed', kind: 'bridged', upstreamId: '1', instance: 'one#1', target };
const task = { taskId: '1', status: 'working' };

test('what a server gave as the end of a task is kept as text alone, not as it was read', async () => {
  const ended = Promise.withResolvers<string>();
  let result: JsonObject | undefined = { content: [{ type: 'text', text: 'done' }] };
  const read = new WeakRef(result);
  const kept = new BridgedTask({
    ref,
    caller: { principal: LOCAL, exchange: ownExchange(new Cancellation()) },
    task,
    ttlMs: 60_000,
    at: {
      task: ref,
      totalMs: 1_000,
      send: ({ method }) => {
        const reply = method === 'tasks/get' ? task : (result ?? {});
        if (method !== 'tasks/get') result = undefined;
        return Promise.resolve({ result: reply, bytes: 1 });
      },
    },
    place: () => () => undefined,
    admits: () => true,
    ended: ended.resolve,
  });
  expect(await ended.promise).toBe('completed');
  await new Promise(setImmediate);
  collect();

  expect(read.deref()).toBeUndefined();
  expect(kept.described()).toMatchObject({ status: 'completed', result: { content: [{ text: 'done' }] } });
});
