// The prewarmed process of a server, and its end before an owner takes it.
import { EventEmitter, once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import type { ServerConfig } from '../../../../src/config/config.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import { ConfiguredServer } from '../../../../src/upstream/mcp/configured-server.ts';
import type { UpstreamContext } from '../../../../src/upstream/mcp/context.ts';
import { Prewarmer } from '../../../../src/upstream/mcp/instances/prewarmer.ts';
import { Deadlines } from '../../../../src/upstream/mcp/wire/pending.ts';
import { TIMEOUTS } from '../peers.ts';
import { containment } from '../processes.ts';

/** The prewarmer of a server that runs this program. */
function prewarmerOf(program: string) {
  const config = {
    name: 's',
    display: 'node',
    command: process.execPath,
    args: ['-e', program],
    env: {},
    cwd: '/',
    secrets: ['hush'],
    timeouts: TIMEOUTS,
  } as unknown as ServerConfig;
  const records: [string, JsonObject][] = [];
  const news = new EventEmitter();
  let id = 0;
  const context = {
    deadlines: new Deadlines(),
    maxMessageBytes: 1 << 20,
    maxItems: 100_000,
    env: process.env,
    containment,
    instanceIds: { next: () => `s#${++id}` },
    events: {
      record: (event: string, detail: JsonObject) => {
        records.push([event, detail]);
        news.emit(event);
      },
    },
  };
  const server = new ConfiguredServer(config, context as unknown as UpstreamContext);
  const prewarmer = new Prewarmer(server, { startsOnDemand: true });
  onTestFinished(() => prewarmer.close());
  return { prewarmer, records, on: (event: string) => once(news, event) };
}

test('one that ends by itself is told of, is not there to be taken, and is not started again at once', async () => {
  const { prewarmer, records, on } = prewarmerOf("process.stderr.write('hush'); process.exitCode = 3");
  const ended = on('spare_ended');
  void prewarmer.prepare();
  expect(prewarmer.size).toBe(1);
  await ended;
  void prewarmer.prepare();

  expect([prewarmer.size, prewarmer.take()]).toEqual([0, undefined]);
  expect(records).toEqual([
    ['spare_started', { server: 's', instance: 's#1', run: 'node' }],
    [
      'spare_ended',
      { server: 's', instance: 's#1', reason: expect.stringMatching(/exit code 3 .*\[redacted\]/) as string },
    ],
  ]);
});

test('there is one at a time; it can be taken once it runs, and not twice', async () => {
  const { prewarmer, records } = prewarmerOf('process.stdin.resume()');
  const ready = prewarmer.prepare();
  expect(await prewarmer.prepare()).toBe(false);
  expect(prewarmer.take()).toBeUndefined();
  expect(await ready).toBe(true);
  const taken = prewarmer.take();

  expect(taken?.id).toBe('s#1');
  expect([prewarmer.size, prewarmer.take()]).toEqual([0, undefined]);
  expect(records).toHaveLength(1);
  await taken?.wire.close();
});

test('after the end of the server none is started', async () => {
  const { prewarmer, records } = prewarmerOf('process.stdin.resume()');
  void prewarmer.prepare();
  await prewarmer.close();
  void prewarmer.prepare();

  expect(prewarmer.size).toBe(0);
  expect(records.map(([event]) => event)).toEqual(['spare_started', 'spare_ended']);
});
