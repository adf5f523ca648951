// Every feature of the matrix works where no gateway is in between, so that what fails in a cell fails because of the gateway.
import { afterAll, beforeAll, describe, test } from 'vitest';
import { fixture } from '../harness/gateway.ts';
import type { ClientKind, Place } from '../harness/clients.ts';
import { type RunningServer, startServer } from '../harness/servers.ts';
import { fixtureOf, SERVER_LANES, type ServerLane } from './cells.ts';
import { connectMatrixClient, type MatrixClient } from './client.ts';
import { FEATURES, type ServerView } from './features.ts';

const PAIRS: readonly [ClientKind, string][] = [
  ['SDK v1', 'v1-http'],
  ['SDK v1', 'v1-sse'],
  ['SDK v1', 'v2-legacy-stdio'],
  ['SDK v2 legacy', 'v1-sse'],
  ['SDK v2 legacy', 'v1-stdio'],
  ['SDK v2 legacy', 'v2-legacy-http'],
  ['SDK v2 modern', 'v2-modern-http'],
  ['SDK v2 modern', 'v2-modern-stdio'],
];

async function placeOf(lane: ServerLane): Promise<{ place: Place; server?: RunningServer }> {
  const [name, ...args] = fixtureOf(lane);
  if (lane.transport === 'stdio') return { place: fixture(name, ...args) };
  const server = await startServer(name, ...args);
  return { place: { url: server.url }, server };
}

describe.each(PAIRS)('%s and %s', (kind, name) => {
  const lane = SERVER_LANES.find((one) => one.name === name)!;
  const view: ServerView = { exposed: (own) => own, uri: (path) => `${name}://${path}`, alone: (work) => work() };
  let client: MatrixClient | undefined;
  let server: RunningServer | undefined;

  beforeAll(async () => {
    const started = await placeOf(lane);
    server = started.server;
    client = await connectMatrixClient(kind, started.place);
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  test.each(Object.entries(FEATURES))('%s', async (_name, feature) => {
    await feature(client!, view);
  });
});
