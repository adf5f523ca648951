// What the log says of a call is what was done with it, and every refusal is there.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { openSession, send } from '../../integration/harness/raw.ts';
import { type CallRecord, Composition } from './composition.ts';
import { FakeServer } from './fake-server.ts';

const OFFER = {
  tools: ['echo', 'fail', 'hold', 'secret'],
  prompts: ['greet', 'secret'],
  resources: ['mem://open', 'mem://secret'],
  templates: ['mem://t/{id}', 'mem://secret/{id}'],
};
const DENY = {
  tools: { deny: ['secret*'] },
  prompts: { deny: ['secret*'] },
  resources: { deny: ['mem://secret*'] },
};

const start = (): Promise<Composition> => Composition.start({ servers: { s: OFFER }, entries: { s: DENY } });

const UNKNOWN = { allowed: false, rule: 'unknown' };

const completion = (type: 'prompt' | 'resource', name: string): JsonObject => ({
  ref: type === 'prompt' ? { type: 'ref/prompt', name } : { type: 'ref/resource', uri: name },
  argument: { name: 'a', value: '' },
});

const KINDS: readonly [string, string, 'tools' | 'prompts' | 'resources', (secret: boolean) => JsonObject][] = [
  ['a tool', 'tools/call', 'tools', (secret) => ({ name: secret ? 's__secret' : 's__echo', arguments: {} })],
  ['a prompt', 'prompts/get', 'prompts', (secret) => ({ name: secret ? 's__secret' : 's__greet' })],
  ['a resource', 'resources/read', 'resources', (secret) => ({ uri: secret ? 'mem://secret' : 'mem://open' })],
  [
    'a resource of a template',
    'resources/read',
    'resources',
    (secret) => ({ uri: secret ? 'mem://secret/1' : 'mem://t/1' }),
  ],
  [
    'a completion of a prompt',
    'completion/complete',
    'prompts',
    (secret) => completion('prompt', secret ? 's__secret' : 's__greet'),
  ],
  [
    'a completion of a template',
    'completion/complete',
    'resources',
    (secret) => completion('resource', secret ? 'mem://secret/{id}' : 'mem://t/{id}'),
  ],
];

describe('the record of a call has the decision that was enforced', () => {
  let gateway: Composition;
  beforeAll(async () => {
    gateway = await Composition.startShared({ servers: { s: OFFER }, entries: { s: DENY } });
  });
  afterAll(() => gateway.close());

  test.for(KINDS)('of %s', async ([, method, setting, params]) => {
    const sent = gateway.fake().calls.length;
    const recorded = gateway.records().length;
    const allowed = await gateway.ask(method, params(false));
    const first = gateway.record();
    const denied = await gateway.ask(method, params(true));
    const second = gateway.record();

    expect(allowed.error).toBeUndefined();
    expect(first).toMatchObject({
      method,
      server: 's',
      status: 'ok',
      instance: 's#1',
      decision: { allowed: true, rule: `mcpServers.s.${setting}.allow` },
    });
    expect(denied.result).toBeUndefined();
    expect(denied.error?.message).not.toMatch(/den(y|ied)/);
    expect(second).toMatchObject({
      method,
      server: 's',
      status: 'refused',
      decision: {
        allowed: false,
        rule: `mcpServers.s.${setting}.deny`,
        source: expect.stringMatching(/mcp-gateway\.json:\d+:\d+$/) as string,
      },
    });
    expect(gateway.told.at(-1)?.reason).toMatch(`denied by mcpServers.s.${setting}.deny`);
    expect(gateway.fake().calls).toHaveLength(sent + 1);
    expect(gateway.records()).toHaveLength(recorded + 2);
  });

  test.for(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])('of %s', async (method) => {
    await gateway.ask(method);

    expect(gateway.record()).toMatchObject({
      method,
      status: 'ok',
      decision: { allowed: true, rule: 'default', reason: 'the list shows what may be used' },
    });
  });

  test.for([
    ['tools/call', { name: 's__nothing' }, 'unknown_target'],
    ['prompts/get', { name: 's__nothing' }, 'unknown_target'],
    ['resources/read', { uri: 'mem://nothing' }, 'resource_not_found'],
    ['completion/complete', completion('prompt', 's__nothing'), 'unknown_target'],
  ] as const)('of %s with an unknown name', async ([method, params, error]) => {
    const answer = await gateway.ask(method, params);

    expect(gateway.record()).toMatchObject({ method, status: 'refused', error, decision: UNKNOWN });
    expect(answer.error?.code).toBe(-32602);
    if ('uri' in params) expect(answer.error?.data).toMatchObject({ uri: params.uri });
  });

  test('of a resource that a session lets go, though it is denied', async () => {
    const session = await openSession(gateway.origin);

    const followed = await send(gateway.origin, session.request('resources/subscribe', { uri: 'mem://secret' }));
    const left = await send(gateway.origin, session.request('resources/unsubscribe', { uri: 'mem://secret' }));

    expect(followed.text).toContain('-32002');
    expect(left.text).toContain('"result":{}');
    expect(gateway.records().slice(-2)).toMatchObject([
      { method: 'resources/subscribe', status: 'refused', decision: { allowed: false } },
      {
        method: 'resources/unsubscribe',
        status: 'ok',
        decision: { allowed: true, rule: 'default', reason: 'what is followed may always be let go' },
      },
    ]);
  });

  test('of a name at a server that has never answered', async () => {
    const fake = await FakeServer.start({});
    const { url } = fake;
    await fake.stop();
    const gateway = await Composition.start({ entries: { dead: { url, ...DENY } } });

    const allowed = await gateway.ask('tools/call', { name: 'dead__echo' });
    const denied = await gateway.ask('tools/call', { name: 'dead__secret' });
    const own = await gateway.ask('tools/call', { name: 'secret' }, { path: '/mcp/s/dead' });
    const completed = await gateway.ask('completion/complete', completion('prompt', 'dead__greet'));

    expect(allowed.error).toMatchObject({ code: -33010 });
    expect(denied.error).toMatchObject({ code: -32602, message: 'Unknown tool: dead__secret' });
    expect(own.error).toMatchObject({ code: -32602, message: 'Unknown tool: secret' });
    expect(completed.error).toMatchObject({ code: -33010 });
    expect(gateway.records()).toMatchObject([
      { exposed: 'dead__echo', server: 'dead', status: 'unreachable', decision: { allowed: true } },
      { exposed: 'dead__secret', server: 'dead', status: 'refused', decision: { rule: 'mcpServers.dead.tools.deny' } },
      { exposed: 'secret', server: 'dead', status: 'refused', decision: { rule: 'mcpServers.dead.tools.deny' } },
      { exposed: 'dead__greet', server: 'dead', status: 'unreachable', decision: { allowed: true } },
    ]);
  });
});

describe('of a task', () => {
  const meta = {
    'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
  };
  const METHODS = ['tasks/get', 'tasks/update', 'tasks/cancel'] as const;

  test('the record has the decision on its tool, which a reload can change', async () => {
    const gateway = await Composition.start({ servers: { s: { tools: ['task'] } } });
    const about = (method: string, taskId: unknown) =>
      gateway.ask(method, { taskId, inputResponses: {} } as JsonObject, { meta });

    const begun = await gateway.ask('tools/call', { name: 's__task' }, { meta });
    const { taskId } = begun.result ?? {};
    for (const method of METHODS) expect((await about(method, taskId)).error).toBeUndefined();
    const sent = gateway.fake().calls.length;
    await gateway.reload(gateway.file({ entries: { s: { tools: { deny: ['task'] } } } }));
    for (const method of METHODS) expect((await about(method, taskId)).error).toMatchObject({ code: -32602 });
    await about('tasks/get', 'no such task');

    const records = gateway.records();
    expect(begun.result).toMatchObject({ resultType: 'task' });
    expect(gateway.fake().calls).toHaveLength(sent);
    expect(records.slice(1, 4)).toMatchObject(
      METHODS.map((method) => ({ method, server: 's', exposed: 's__task', status: 'ok', decision: { allowed: true } })),
    );
    expect(records.slice(4, 7)).toMatchObject(
      METHODS.map((method) => ({
        method,
        server: 's',
        exposed: 's__task',
        status: 'refused',
        decision: { allowed: false, rule: 'mcpServers.s.tools.deny' },
      })),
    );
    expect(records.slice(7)).toMatchObject([{ method: 'tasks/get', status: 'refused' }]);
  });

  test('is found at the endpoint of its server, and at that of no other', async () => {
    const gateway = await Composition.start({ servers: { s: { tools: ['task'] }, other: { tools: ['task'] } } });
    const { result } = await gateway.ask('tools/call', { name: 's__task' }, { meta });
    const { taskId = null } = result ?? {};
    const at = (path: string) => gateway.ask('tasks/get', { taskId }, { meta, path });

    const [own, other] = [await at('/mcp/s/s'), await at('/mcp/s/other')];

    expect(own.result).toMatchObject({ taskId, status: 'working' });
    expect(other.error).toMatchObject({ code: -32602 });
    expect(gateway.fake('other').calls).toEqual([]);
  });
});

test('a message that never becomes a call is an event that says who sent it, whatever its era', async () => {
  const gateway = await start();
  const session = await openSession(gateway.origin);

  await gateway.ask('tools/nothing');
  await send(gateway.origin, session.request('logging/setLevel', { level: 'loud' }));
  await gateway.ask('tools/list', {}, { headers: { 'Mcp-Method': undefined } });

  const who = { address: '127.0.0.1', principal: 'local', attempts: 1 };
  const events = ['method_not_found', 'invalid_params', 'header_mismatch'].map((reason) => ({ ...who, reason }));
  expect(gateway.events('request_refused').map(({ detail }) => detail)).toEqual(events);
  expect(gateway.told.filter(({ event }) => event === 'request_refused').map(({ detail }) => detail)).toEqual(events);
  expect(gateway.log.filter(({ msg }) => msg === 'request_refused')).toMatchObject(events);
  expect(gateway.records()).toEqual([]);
});

test('the record says who called, from where, in which trace, and how it ended', async () => {
  const gateway = await start();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  await gateway.ask('tools/call', { name: 's__echo', arguments: { a: 'value' } }, { headers: { traceparent } });
  await gateway.ask('tools/call', { name: 's__fail' }, { meta: { traceparent } });
  await gateway.ask('tools/call', { name: 'echo' }, { path: '/mcp/s/s' });

  const [first, second, third] = gateway.records() as (CallRecord & JsonObject)[];
  expect(first).toMatchObject({
    principal: { id: 'local', kind: 'local' },
    client: { name: 'raw', version: '1' },
    address: '127.0.0.1',
    exposed: 's__echo',
    original: 'echo',
    downstream: { era: 'modern', transport: 'streamable-http' },
    upstream: { era: 'modern', transport: 'streamable-http' },
    shape: { a: 'string(5)' },
  });
  expect(first?.trace).toMatch(/^0af7651916cd43dd8448eb211c80319c-/);
  expect(second).toMatchObject({ status: 'tool_error', trace: expect.stringMatching(/^0af7651916/) as string });
  expect(third).toMatchObject({ exposed: 'echo', server: 's', status: 'ok' });
  expect(gateway.fake().calls[0]?.headers.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b71)/);
});
