// Features of what is told besides answers: progress, cancellation, changes, log lines.
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { bounded } from './heard.ts';
import type { Feature } from './features.ts';

const PROGRESS = 'notifications/progress';
const CHANGED = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';
const LOGGED = 'notifications/message';

export const progress: Feature = async (client, { exposed }) => {
  const token = randomUUID();
  const result = await client.call(exposed('slow'), { ms: 3, steps: 3 }, { progressToken: token });
  const steps = [
    await client.heard.next(PROGRESS),
    await client.heard.next(PROGRESS),
    await client.heard.next(PROGRESS),
  ];

  expect(result.content).toEqual([{ type: 'text', text: 'done after 3 steps' }]);
  expect(steps).toMatchObject([1, 2, 3].map((step) => ({ progressToken: token, progress: step, total: 3 })));
};

export const cancel: Feature = async (client, { exposed }) => {
  const label = randomUUID();
  const controller = new AbortController();
  const options = { progressToken: label, signal: controller.signal };
  const waiting = client.call(exposed('wait_for_cancel'), { label }, options);
  const ended = waiting.then(
    () => 'answered',
    () => 'cancelled',
  );
  await client.heard.next(PROGRESS, ({ progressToken }) => progressToken === label);
  controller.abort();
  expect(await ended).toBe('cancelled');

  const told = await bounded(client.call(exposed('was_cancelled'), { label }), 'word of the cancellation');
  expect(told.content).toEqual([{ type: 'text', text: 'cancelled' }]);
};

export const listChanged: Feature = async (client, { exposed, alone }) => {
  const name = `t${randomUUID().slice(0, 8)}`;
  const stop = await client.followTools();
  await alone(async () => {
    client.heard.forget(CHANGED);
    await client.call(exposed('add_tool'), { name });
    await client.heard.next(CHANGED);
    // a list may change more than once; the last word comes after the last change
    while (!(await client.sdk.listTools()).tools.some((tool) => tool.name === exposed(name)))
      await client.heard.next(CHANGED);
  });
  await stop();

  const { content } = await client.call(exposed(name));
  expect(content).toEqual([{ type: 'text', text: `this is ${name}` }]);
};

export const resourceUpdate: Feature = async (client, { exposed, uri }) => {
  const [text, bytes] = [uri('text'), uri('bytes')];
  const touch = (touched: string) => client.call(exposed('touch'), { uri: touched });
  const stop = await client.follow(text);
  await touch(bytes);
  await touch(text);
  expect(await client.heard.next(UPDATED)).toMatchObject({ uri: text });

  const stopOther = await client.follow(bytes);
  await stop();
  await touch(text);
  await touch(bytes);
  expect(await client.heard.next(UPDATED)).toMatchObject({ uri: bytes });
  await stopOther();
};

export const logging: Feature = async (client, { exposed }) => {
  await client.setLogLevel('error');
  const severe = randomUUID();
  await client.call(exposed('log_lines'), { label: severe });
  await client.heard.next(LOGGED, ({ data }) => data === `${severe} emergency`);
  await client.setLogLevel('debug');
  const all = randomUUID();
  await client.call(exposed('log_lines'), { label: all });
  await client.heard.next(LOGGED, ({ data }) => data === `${all} emergency`);

  const lines = client.heard.left(LOGGED).map(({ level, data }) => [data, level]);
  const expected = (label: string, levels: string[]) => levels.map((level) => [`${label} ${level}`, level]);
  expect(lines).toEqual([
    ...expected(severe, ['error', 'critical', 'alert']),
    ...expected(all, ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert']),
  ]);
};
