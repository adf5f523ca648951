// The process that is started ahead of its owner, when it does not stay.
import { EventEmitter, once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import type { ServerConfig } from '../../../../src/config/config.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import { Prewarmer } from '../../../../src/upstream/mcp/instances/prewarmer.ts';
import { Deadlines } from '../../../../src/upstream/mcp/wire/deadlines.ts';
import { TIMEOUTS } from '../peers.ts';

/** The spare of a server that runs this program. */
function spareOf(program: string) {
  const server = {
    name: 's',
    display: 'node',
    command: process.execPath,
    args: ['-e', program],
    env: {},
    cwd: '/',
    secrets: ['hush'],
    timeouts: TIMEOUTS,
  } as unknown as ServerConfig;
  const told: [string, JsonObject][] = [];
  const news = new EventEmitter();
  let id = 0;
  const spare = new Prewarmer(
    {
      server: () => server,
      context: { deadlines: new Deadlines(), maxMessageBytes: 1 << 20, maxItems: 100_000, env: process.env },
      on: {
        event: (event, detail) => {
          told.push([event, detail]);
          news.emit(event);
        },
        noise: () => undefined,
      },
      wanted: () => true,
      nextId: () => `s#${++id}`,
      clean: (text) => text.replaceAll('hush', '[redacted]'),
    },
    () => news.emit('ready'),
  );
  onTestFinished(() => spare.close());
  return { spare, told, on: (event: string) => once(news, event) };
}

test('one that ends by itself is told of, is not there to be taken, and is not started again at once', async () => {
  const { spare, told, on } = spareOf("process.stderr.write('hush'); process.exitCode = 3");
  const ended = on('spare_ended');
  spare.prepare();
  expect(spare.size).toBe(1);
  await ended;
  spare.prepare();

  expect([spare.size, spare.take()]).toEqual([0, undefined]);
  expect(told).toEqual([
    ['spare_started', { server: 's', instance: 's#1', run: 'node' }],
    [
      'spare_ended',
      { server: 's', instance: 's#1', reason: expect.stringMatching(/exit code 3 .*\[redacted\]/) as string },
    ],
  ]);
});

test('there is one at a time; it can be taken once it runs, and not twice', async () => {
  const { spare, told, on } = spareOf('process.stdin.resume()');
  const ready = on('ready');
  spare.prepare();
  spare.prepare();
  expect(spare.take()).toBeUndefined();
  await ready;
  const taken = spare.take();

  expect(taken?.id).toBe('s#1');
  expect([spare.size, spare.take()]).toEqual([0, undefined]);
  expect(told).toHaveLength(1);
  await taken?.close();
});

test('after the end of the server none is started', async () => {
  const { spare, told } = spareOf('process.stdin.resume()');
  spare.prepare();
  await spare.close();
  spare.prepare();

  expect(spare.size).toBe(0);
  expect(told.map(([event]) => event)).toEqual(['spare_started', 'spare_ended']);
});
