// Where names lead in a composed gateway with several servers: URIs that a server has shown, templates alike, servers that are away.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { MODERN } from '../../integration/harness/raw.ts';
import { openEvents } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';
import { FakeServer } from './fake-server.ts';

const SHOWN = 'mem://shown';

const link: JsonObject = { type: 'resource_link', uri: SHOWN, name: 'shown' };

test('what a server showed its caller can be read there, though no list has it, and at no other server', async () => {
  const gateway = await Composition.start({
    servers: {
      s: {
        tools: ['show'],
        resources: ['mem://a'],
        script: ({ rpc }) => (rpc === 'tools/call' ? { resultType: 'complete', content: [link] } : undefined),
      },
      other: { resources: ['mem://b'] },
    },
  });
  const read = (path?: string) =>
    gateway.ask('resources/read', { uri: SHOWN }, { ...(path !== undefined && { path }) });

  const before = await read();
  await gateway.ask('tools/call', { name: 's__show' });
  const after = [await read(), await read('/mcp/s/s')];
  const elsewhere = await read('/mcp/s/other');

  expect(before.error).toMatchObject({ code: -32602 });
  expect(after).toMatchObject([{ result: { contents: [{ uri: SHOWN }] } }, { result: { contents: [{ uri: SHOWN }] } }]);
  expect(elsewhere.error).toMatchObject({ code: -32602 });
  expect(gateway.fake('other').calls).toEqual([]);
  expect(gateway.records().slice(-3)).toMatchObject([{ server: 's' }, { server: 's' }, { status: 'refused' }]);
});

test('a completion goes to the server whose template it names, though that of another would match it too', async () => {
  const gateway = await Composition.start({
    servers: { wide: { templates: ['mem://{+path}'] }, s: { templates: ['mem://{+id}'] } },
  });

  const params = { ref: { type: 'ref/resource', uri: 'mem://{+id}' }, argument: { name: 'id', value: 'a' } };
  const answer = await gateway.ask('completion/complete', params);

  expect(answer.error).toBeUndefined();
  expect(gateway.fake('s').calls).toMatchObject([{ params }]);
  expect(gateway.record()).toMatchObject({ server: 's', exposed: 'mem://{+id}' });
});

test('the endpoint of a server that was never met says that it is away, and that of all shows what there is', async () => {
  const fake = await FakeServer.start({});
  const { url } = fake;
  await fake.stop();
  const gateway = await Composition.start({ servers: { s: { tools: ['echo'] } }, entries: { dead: { url } } });

  const own = await gateway.ask('tools/list', {}, { path: '/mcp/s/dead' });
  const all = await gateway.ask('tools/list');

  expect(own.error).toMatchObject({ code: -33010 });
  expect(all.result?.tools).toMatchObject([{ name: 's__echo' }]);
  expect(gateway.records()).toMatchObject([{ status: 'unreachable' }, { status: 'ok' }]);
});

/** A gateway with the server `s`, and with the server `late`, which is being met until `meet` is called. */
async function withLate(): Promise<{ gateway: Composition; meet: () => void }> {
  const met = Promise.withResolvers<() => void>();
  const gateway = await Composition.start({
    servers: {
      s: { tools: ['echo', 'secret'] },
      late: {
        tools: ['echo'],
        script: (visit) => {
          if (visit.rpc !== 'server/discover') return undefined;
          const say = openEvents(visit);
          const result = { resultType: 'complete', supportedVersions: [MODERN], capabilities: { tools: {} }, ttlMs: 0 };
          met.resolve(() => {
            say({ id: visit.id ?? null, result });
            visit.response.end();
          });
          return undefined;
        },
      },
    },
    entries: { s: { tools: { deny: ['secret'] } }, late: { disabled: true } },
  });
  await gateway.reload(gateway.file({ entries: { late: { disabled: false } } }));
  return { gateway, meet: await met.promise };
}

test('a call and a list wait for a server that is just being met', async () => {
  const { gateway, meet } = await withLate();

  const called = gateway.direct('tools/call', { name: 'late__echo' });
  const listed = gateway.direct('tools/list');
  meet();

  expect(await called).toMatchObject({ kind: 'result', result: { content: [{ text: 'echo' }] } });
  expect(await listed).toMatchObject({ list: { entries: [{ exposed: 's__echo' }, { exposed: 'late__echo' }] } });
  expect(gateway.record('tools/call')).toMatchObject({ server: 'late', status: 'ok', decision: { allowed: true } });
});

test('the answer to a denied name comes no sooner than that to a name that there is not', async () => {
  const { gateway, meet } = await withLate();
  const answered: string[] = [];

  const asked = ['s__secret', 's__nothing'].map(async (name) => {
    const failure = await gateway.direct('tools/call', { name }).catch((error: unknown) => error);
    answered.push(name);
    return failure;
  });
  await gateway.ask('tools/call', { name: 's__echo' });
  const early = [...answered];
  meet();

  expect(await Promise.all(asked)).toMatchObject([{ code: 'unknown_target' }, { code: 'unknown_target' }]);
  expect(early).toEqual([]);
});

test('a call that waited for its server is decided by the policy in force when its name is looked up', async () => {
  const { gateway, meet } = await withLate();
  const endpoint = { kind: 'server', name: 'late' } as const;

  const called = gateway.direct('tools/call', { name: 'echo' }, { endpoint });
  await gateway.reload(gateway.file({ entries: { late: { disabled: false, tools: { deny: ['echo'] } } } }));
  meet();

  await expect(called).rejects.toMatchObject({ code: 'unknown_target' });
  expect(gateway.fake('late').calls).toEqual([]);
  expect(gateway.record()).toMatchObject({ config: gateway.gateway.snapshot.config.hash, status: 'refused' });
});
