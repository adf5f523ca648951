// Where the gateway listens: both loopback addresses, a free port on request, and an error that names one that is taken.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli, type RunningGateway, startGateway, workspace } from './harness/gateway.ts';
import { modern, resultOf, send } from './harness/raw.ts';

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await startGateway({});
});

afterAll(() => gateway.stop());

test('127.0.0.1 and ::1 are both bound, and localhost leads to them', async () => {
  const { port } = new URL(gateway.origin);

  for (const host of ['127.0.0.1', '[::1]', 'localhost'])
    expect(resultOf(await send(`http://${host}:${port}`, modern('tools/list')))).toHaveProperty('tools');
});

test('port 0 takes a free one and prints where it is', async () => {
  expect(gateway.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+\/mcp$/);
});

test.each(['127.0.0.1', '::1'])('a port that is taken on %s is an error that names it', async (host) => {
  const blocker = createServer().listen(0, host);
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const space = workspace({});
  const { status, stdout, stderr } = await runCli([
    'serve',
    '--port',
    String(port),
    '--config',
    space.config,
    '--state',
    space.state,
  ]);
  blocker.close();
  space.remove();

  expect([status, stdout]).toEqual([8, '']);
  expect(stderr).toContain(`${host}:${port} is in use`);
});
