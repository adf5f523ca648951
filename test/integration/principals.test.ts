// Two principals share every server, and nothing of one reaches the other.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Level } from '../../fixtures/servers/tool.ts';
import { CLIENTS, type ClientKind } from './harness/clients.ts';
import { runCollidingClients } from './harness/colliding-clients.ts';
import type { RunningGateway } from './harness/gateway.ts';
import { ALICE, BOB, SHARED_ERRANDS, startShared } from './harness/principals.ts';
import { connectMatrixClient, type MatrixClient } from './matrix/client.ts';

let gateway: RunningGateway;
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ gateway, stop } = await startShared());
});

afterAll(() => stop());

/** A client of each principal; both are closed when the test ends. */
async function bothOf(kind: ClientKind): Promise<{ alice: MatrixClient; bob: MatrixClient }> {
  const [alice, bob] = await Promise.all(
    [ALICE, BOB].map((token) =>
      connectMatrixClient(kind, { url: gateway.url, headers: { Authorization: `Bearer ${token}` } }),
    ),
  );
  onTestFinished(async () => {
    await Promise.all([alice?.close(), bob?.close()]);
  });
  return { alice: alice!, bob: bob! };
}

test('2,000 interleaved calls with the same ids and tokens, by one pipe and one session, give nobody anything foreign', async () => {
  const findings = await runCollidingClients(gateway.origin, {
    clients: 40,
    calls: 50,
    tokens: [ALICE, BOB],
    errands: SHARED_ERRANDS,
  });

  expect(findings.foreign).toEqual([]);
  expect(findings.answered).toBe(2_000);
  expect(findings.logged).toBe(40 * 5);
  expect(findings.progress).toBe(40 * 5 * 2);
  expect(findings.cancelled).toBe(20);
});

describe.each(CLIENTS)('%s', (kind) => {
  test('reads what it was shown a link to, and the other one cannot', async () => {
    const { alice, bob } = await bothOf(kind);
    const secret = randomUUID();
    const { content } = await alice.call('web__show_private', { secret });
    const uri = content[0]?.type === 'resource_link' ? content[0].uri : '';

    const foreign: unknown = await bob.sdk.readResource({ uri }).catch((error: unknown) => error);
    const unknown: unknown = await bob.sdk.readResource({ uri: 'nobody://knows' }).catch((error: unknown) => error);
    const own = await alice.sdk.readResource({ uri });

    expect(foreign).toMatchObject({ code: (unknown as { code: number }).code });
    expect(String(foreign).replaceAll(uri, '')).toBe(String(unknown).replaceAll('nobody://knows', ''));
    expect(own.contents[0]).toMatchObject({ text: `what is behind ${uri}` });
  });

  test('hears of the resource that it follows, and not of the one that the other one follows', async () => {
    const { alice, bob } = await bothOf(kind);
    const updated = 'notifications/resources/updated';
    await alice.follow('fixture://text');
    await bob.follow('fixture://bytes');
    for (const uri of ['fixture://bytes', 'fixture://text', 'fixture://bytes', 'fixture://text']) {
      await alice.call('web__touch', { uri });
      await (uri === 'fixture://text' ? alice : bob).heard.next(updated);
    }

    expect(alice.heard.left(updated)).toEqual([]);
    expect(bob.heard.left(updated)).toEqual([]);
  });

  test('gets its own log lines, each at the level that it asked for', async () => {
    const { alice, bob } = await bothOf(kind);
    const logged = 'notifications/message';
    const wanted = async (client: MatrixClient, level: Level) => {
      await client.setLogLevel(level);
      const label = randomUUID();
      await Promise.all(Array.from({ length: 10 }, () => client.call('web__log_lines', { label })));
      for (let count = 0; count < 10; count += 1)
        await client.heard.next(logged, ({ data }) => data === `${label} emergency`);
      return label;
    };
    const labels = await Promise.all([wanted(alice, 'debug'), wanted(bob, 'alert')]);

    const own = (client: MatrixClient) => client.heard.left(logged).map(({ data }) => data);
    expect(new Set(own(bob))).toEqual(new Set([`${labels[1]} alert`]));
    expect(own(bob)).toHaveLength(10);
    expect(own(alice)).toHaveLength(70);
    expect(own(alice).filter((data) => typeof data !== 'string' || !data.startsWith(labels[0]))).toEqual([]);
  });

  test('is asked what the server asks in its own calls, and nothing else', async () => {
    const { alice, bob } = await bothOf(kind);
    const tool = kind === 'SDK v2 modern' ? 'modern__ask_form' : 'web__ask_form';
    const ask = async (client: MatrixClient) => {
      const labels = Array.from({ length: 5 }, () => randomUUID());
      const results = await Promise.all(labels.map((label) => client.call(tool, { label })));
      return { labels, answers: results.map(({ content }) => content[0]) };
    };
    const both = await Promise.all([ask(alice), ask(bob)]);

    [alice, bob].forEach(({ asked }, index) => {
      const { labels, answers } = both[index]!;
      expect(asked).toHaveLength(labels.length);
      labels.forEach((label, at) => {
        expect(asked.filter((question) => question.includes(label))).toHaveLength(1);
        expect(answers[at]).toMatchObject({ text: expect.stringContaining(`red ${label}`) as string });
      });
    });
  });
});
