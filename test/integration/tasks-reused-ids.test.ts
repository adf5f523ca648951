// Servers that give an id again: nobody gets at the task of another with an old id of one's own (wire.md, Tasks).
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, workspace } from './harness/gateway.ts';
import { BOB } from './harness/principals.ts';
import { startServer } from './harness/servers.ts';
import { until } from './harness/status.ts';
import { startTaskGateway, TaskClient } from './harness/tasks.ts';

const COUNTED = fixture('conformance-modern.ts', '--transport', 'stdio', '--count-tasks');
const NO_SUCH_TASK = { error: { code: -32602, message: 'There is no such task.' } };

const clientsOf = ({ origin }: RunningGateway) => {
  const alice = new TaskClient(origin);
  return { alice, bob: alice.with({ token: BOB }) };
};

/** Bob begins what gets the id of Alice's old task, and is asked something. */
async function beginAnew(bob: TaskClient): Promise<string> {
  await until(
    () => bob.call('s__greet', { name: 'x' }),
    ({ error }) => error === undefined,
  );
  const task = await bob.begin('s__confirm_delete', { filename: 'of bob' });
  await bob.until(task, 'input_required');
  return task;
}

/** What Alice gets of her old id is what anybody gets of none, and Bob's task is as it was. */
async function expectUnknown(old: string, alice: TaskClient, bob: TaskClient): Promise<void> {
  const bobs = await beginAnew(bob);
  const inputResponses: JsonObject = { confirmed: { action: 'accept', content: { confirm: true } } };
  expect(await alice.get(old)).toMatchObject(NO_SUCH_TASK);
  expect(await alice.ask('tasks/update', { taskId: old, inputResponses })).toMatchObject(NO_SUCH_TASK);
  expect(await alice.ask('tasks/cancel', { taskId: old })).toMatchObject(NO_SUCH_TASK);
  const acknowledged = await (await alice.listen([old])).inbox.next();

  expect(JSON.stringify(acknowledged)).not.toContain(old);
  expect(await bob.get(bobs)).toMatchObject({ status: 'input_required' });
}

test('of a process that was started again', async () => {
  const gateway = await startTaskGateway({ s: COUNTED });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const { alice, bob } = clientsOf(gateway);
  const old = await alice.begin('s__slow_compute', { seconds: 0, label: 'of alice' });
  await alice.until(old, 'completed');
  await alice.call('s__end_process');

  await expectUnknown(old, alice, bob);
});

test('of a server at a URL that was started again', async () => {
  const first = await startServer('conformance-modern.ts', '--count-tasks');
  const gateway = await startTaskGateway({ s: { url: first.url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const { alice, bob } = clientsOf(gateway);
  const old = await alice.begin('s__slow_compute', { seconds: 0, label: 'of alice' });
  await first.stop();
  const second = await startServer('conformance-modern.ts', '--count-tasks', '--port', new URL(first.url).port);
  onTestFinished(() => second.stop());

  await expectUnknown(old, alice, bob);
});

test('of a process of an earlier run of the gateway, though one at a URL is found again', async () => {
  const server = await startServer('conformance-modern.ts');
  onTestFinished(() => server.stop());
  const space = workspace({});
  onTestFinished(() => space.remove());
  const servers = { s: COUNTED, web: { url: server.url } };
  const first = await startTaskGateway(servers, space);
  const before = clientsOf(first).alice;
  const old = await before.begin('s__slow_compute', { seconds: 0, label: 'of alice' });
  const kept = await before.begin('web__slow_compute', { seconds: 0, label: 'of alice' });
  await first.stop();
  const second = await startTaskGateway(servers, space);
  onTestFinished(() => second.stop().then(() => undefined));
  const { alice, bob } = clientsOf(second);

  await expectUnknown(old, alice, bob);
  expect(await alice.until(kept, 'completed')).toMatchObject({ taskId: kept });
});
