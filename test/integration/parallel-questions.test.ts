// Calls that one client makes at the same time, each of which asks something: every question is answered, from the first calls on.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import { CLIENTS, type Place } from './harness/clients.ts';
import { fixture, openGateway } from './harness/gateway.ts';
import { kept } from './harness/kept.ts';
import { startServer } from './harness/servers.ts';
import { statusOf } from './harness/status.ts';
import { connectMatrixClient, type MatrixClient } from './matrix/client.ts';

tellTestsApart();

const TRANSPORTS = ['stdio', 'sse', 'http'] as const;
type Transport = (typeof TRANSPORTS)[number];

/** The entry of a server of the SDK's first generation that asks. */
async function asking(transport: Transport): Promise<object> {
  if (transport === 'stdio') return fixture('sdk-v1-server.ts', '--transport', 'stdio');
  const { url } = await kept(startServer('sdk-v1-server.ts', '--transport', transport));
  return transport === 'sse' ? { url, type: 'sse' } : { url };
}

/** Makes four calls at once; each gives back the answer to its own question. */
async function askFour(client: MatrixClient, tool: string): Promise<void> {
  const labels = Array.from({ length: 4 }, () => randomUUID());
  const results = await Promise.all(labels.map((label) => client.call(tool, { label })));
  expect(results.map(({ content }) => JSON.parse((content[0] as { text: string }).text) as unknown)).toMatchObject(
    labels.map((label) => ({ content: { color: `red ${label}` } })),
  );
}

const CELLS = CLIENTS.flatMap((kind) => TRANSPORTS.map((transport) => [kind, transport] as const));

test.each(CELLS)('four first questions of %s over %s are answered, and four more', async (kind, transport) => {
  const gateway = await kept(openGateway({ config: { mcpServers: { s: await asking(transport) } } }));
  await gateway.attempted();
  const client = await connected(kind, { url: gateway.url });

  await askFour(client, 's__ask_form');
  await askFour(client, 's__ask_form');

  expect((await statusOf(gateway, 's')).isolation.sharing).toBe('session');
  expect(client.asked).toHaveLength(8);
});

async function connected(...to: Parameters<typeof connectMatrixClient>): Promise<MatrixClient> {
  const client = await connectMatrixClient(...to);
  onTestFinished(() => client.close());
  return client;
}

/** How long a client takes to answer, in ms: calls that run one at a time take four times that. */
const THOUGHT = 150;

function slowly(client: MatrixClient): MatrixClient {
  const answer = client.answer.bind(client);
  const later = (...asked: Parameters<typeof answer>) => delay(THOUGHT).then(() => answer(...asked));
  return Object.assign(client, { answer: later });
}

test.each(TRANSPORTS)(
  'once it is known that a server asks over %s, four questions at once take at most twice as long as directly',
  async (transport) => {
    const entry = await asking(transport);
    const gateway = await kept(openGateway({ config: { mcpServers: { s: entry } } }));
    await gateway.attempted();
    const direct = slowly(await connected('SDK v1', entry as Place));
    const through = slowly(await connected('SDK v1', { url: gateway.url }));
    const times: [direct: number[], through: number[]] = [[], []];
    for (let round = 0; round < 7; round++) {
      times[0].push(await timed(() => askFour(direct, 'ask_form')));
      times[1].push(await timed(() => askFour(through, 's__ask_form')));
    }

    const [plain = 0, relayed = 0] = times.map(median);
    expect(relayed / plain).toBeLessThanOrEqual(2);
    expect((await statusOf(gateway, 's')).instances.filter(({ owner }) => owner !== undefined)).toHaveLength(1);
  },
);

async function timed(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
