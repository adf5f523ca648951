// Whether a server still means the task that it made, and what is sent for one that it does not mean any more.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import {
  cancelAtServer,
  isSame,
  isUnknown,
  look,
  reach,
  type TaskAt,
} from '../../../src/gateway/tasks/upstream-task.ts';
import type { WireReply } from '../../../src/upstream/mcp/wire/wire.ts';

const TIME = '2026-01-01T00:00:00Z';
const ID = { upstreamId: '1' };
const GONE = { error: { code: -32602, message: 'none' }, bytes: 1 };
const BUSY = { error: { code: -32000, message: 'busy' }, bytes: 1 };

/** A server that answers this to `tasks/get`, and takes everything else. */
function serverThat(says: () => WireReply) {
  const sent: string[] = [];
  const at: TaskAt = {
    task: { ...ID, createdAt: TIME },
    totalMs: 1_000,
    send: ({ method, params }) => {
      expect(params.taskId).toBe('1');
      sent.push(method);
      return Promise.resolve(method === 'tasks/get' ? says() : { result: { taken: true }, bytes: 1 });
    },
  };
  return { at, sent };
}

const described = (more: JsonObject = {}): WireReply => ({
  result: { taskId: '1', createdAt: TIME, status: 'working', ...more },
  bytes: 1,
});

test('a task of another id, another time, or of none, is another one', () => {
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1', createdAt: TIME })).toBe(true);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '2', createdAt: TIME })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { createdAt: TIME })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1', createdAt: '2026-01-01T00:00:01Z' })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1' })).toBe(false);
  expect(isSame({ ...ID, createdAt: TIME }, { taskId: '1', createdAt: 1 })).toBe(false);
});

test('a time that was not said cannot differ', () => {
  expect(isSame(ID, { taskId: '1', createdAt: TIME })).toBe(true);
});

test('of a long time the first 64 characters count, of which no more is kept', () => {
  const long = TIME.padEnd(100, '0');
  const said = (createdAt: string) => ({ taskId: '1', createdAt });

  expect(isSame({ ...ID, createdAt: long.slice(0, 64) }, said(long))).toBe(true);
  expect(isSame({ ...ID, createdAt: long }, said(long.slice(0, 64)))).toBe(true);
  expect(isSame({ ...ID, createdAt: long.slice(0, 63) }, said(long))).toBe(false);
});

test('what is for a task is sent to it, and to no other that has its id now', async () => {
  const same = serverThat(() => described());
  const other = serverThat(() => described({ createdAt: '2026-01-01T00:00:01Z' }));

  expect(await reach(same.at, { method: 'tasks/update' })).toMatchObject({ result: { taken: true } });
  await expect(reach(other.at, { method: 'tasks/update' })).rejects.toMatchObject({ code: 'unknown_task' });
  await expect(look(other.at)).rejects.toMatchObject({ code: 'unknown_task' });
  await cancelAtServer(other.at);
  await cancelAtServer(same.at);
  expect(other.sent).toEqual(['tasks/get', 'tasks/get', 'tasks/get']);
  expect(same.sent).toEqual(['tasks/get', 'tasks/update', 'tasks/get', 'tasks/cancel']);
});

test('a server that cannot say how a task stands has not lost it, and nothing is done to a task that may be another', async () => {
  for (const [answer, unknown] of [
    [BUSY, false],
    [GONE, true],
  ] as const) {
    const { at, sent } = serverThat(() => answer);
    const reply = await reach(at, { method: 'tasks/result' });
    await cancelAtServer(at);

    expect(reply).toBe(answer);
    expect(isUnknown(reply)).toBe(unknown);
    expect(sent).toEqual(['tasks/get', 'tasks/get']);
  }
});
