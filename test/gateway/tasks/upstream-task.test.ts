// Requests about a task reach only the task that the server made, not a later one with the same id.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { identityOf, isSame, isUnknown, UpstreamTask } from '../../../src/gateway/tasks/upstream-task.ts';
import type { WireReply } from '../../../src/upstream/mcp/wire/wire.ts';
import { answeredWith } from './answered.ts';

const TIME = '2026-01-01T00:00:00Z';
const ID = { upstreamId: '1' };
const GONE = { error: { code: -32602, message: 'none' }, bytes: 1 };
const BUSY = { error: { code: -32000, message: 'busy' }, bytes: 1 };

/** A server that answers this to `tasks/get`, and takes everything else. */
function serverThat(says: () => WireReply) {
  const sent: string[] = [];
  const identity = { ...ID, createdAt: TIME };
  const task = new UpstreamTask(identity, {
    totalMs: 1_000,
    send: ({ method, params }) => {
      expect(params.taskId).toBe('1');
      sent.push(method);
      return answeredWith(method === 'tasks/get' ? says() : { result: { taken: true }, bytes: 1 });
    },
  });
  return { task, sent };
}

const described = (more: JsonObject = {}): WireReply => ({
  result: { taskId: '1', createdAt: TIME, status: 'working', ...more },
  bytes: 1,
});

test('a description with another id, another time, or no time is that of another task', () => {
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1', createdAt: TIME })).toBe(true);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '2', createdAt: TIME })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { createdAt: TIME })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1', createdAt: '2026-01-01T00:00:01Z' })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1' })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1', createdAt: 1 })).toBe(false);
});

test('without a known time every time matches', () => {
  expect(isSame(ID, { taskId: '1', createdAt: TIME })).toBe(true);
});

test('only the first 64 characters of a time are kept and compared', () => {
  const long = TIME.padEnd(100, '0');
  const said = (createdAt: string) => ({ taskId: '1', createdAt });

  expect(isSame({ ...ID, createdAt: long.slice(0, 64) }, said(long))).toBe(true);
  expect(isSame({ ...ID, createdAt: long }, said(long.slice(0, 64)))).toBe(true);
  expect(isSame({ ...ID, createdAt: long.slice(0, 63) }, said(long))).toBe(false);
});

test('a request is sent to its task, and not to another one that has its id now', async () => {
  const same = serverThat(() => described());
  const other = serverThat(() => described({ createdAt: '2026-01-01T00:00:01Z' }));

  expect(await same.task.request('tasks/update')).toMatchObject({ reply: { result: { taken: true } } });
  await expect(other.task.request('tasks/update')).rejects.toMatchObject({ code: 'unknown_task' });
  await expect(other.task.get()).rejects.toMatchObject({ code: 'unknown_task' });
  await other.task.cancel();
  await same.task.cancel();
  expect(other.sent).toEqual(['tasks/get', 'tasks/get', 'tasks/get']);
  expect(same.sent).toEqual(['tasks/get', 'tasks/update', 'tasks/get', 'tasks/cancel']);
});

test('a server that cannot answer has not lost the task, and a task that may be another one gets no request', async () => {
  for (const [answer, unknown] of [
    [BUSY, false],
    [GONE, true],
  ] as const) {
    const { task, sent } = serverThat(() => answer);
    const { reply } = await task.request('tasks/update');
    await task.cancel();

    expect(reply).toBe(answer);
    expect(isUnknown(reply)).toBe(unknown);
    expect(sent).toEqual(['tasks/get', 'tasks/get']);
  }
});

test('a task without a usable id is a fault of its server, and one with an id is identified by it', () => {
  for (const taskId of [undefined, '', 1, 'x'.repeat(1_025)])
    expect(() => identityOf('one', { ...(taskId !== undefined && { taskId }) })).toThrow(
      expect.objectContaining({ code: 'upstream_protocol' }),
    );
  expect(identityOf('one', { taskId: '1', createdAt: TIME })).toEqual({ ...ID, createdAt: TIME });
});
