// What the log says of a call is what was done with it: every refusal is there, and nothing is sent or answered before its record stands.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { open, openSession, modern, send } from '../../integration/harness/raw.ts';
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

const AUDIT_UNAVAILABLE = { status: 503, error: { code: -33008 } };
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
    await gateway.ask(method, params);

    expect(gateway.record()).toMatchObject({ method, status: 'refused', error, decision: UNKNOWN });
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

    expect(allowed.error).toMatchObject({ code: -33010 });
    expect(denied.error).toMatchObject({ code: -32602, message: 'Unknown tool: dead__secret' });
    expect(own.error).toMatchObject({ code: -32602, message: 'Unknown tool: secret' });
    expect(gateway.records()).toMatchObject([
      { exposed: 'dead__echo', server: 'dead', status: 'unreachable', decision: { allowed: true } },
      { exposed: 'dead__secret', server: 'dead', status: 'refused', decision: { rule: 'mcpServers.dead.tools.deny' } },
      { exposed: 'secret', server: 'dead', status: 'refused', decision: { rule: 'mcpServers.dead.tools.deny' } },
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

test('nothing is sent to the server before the intent is in the log, nor is anything answered without its outcome', async () => {
  const arrived: (CallRecord | undefined)[] = [];
  const gateway: Composition = await Composition.start({
    servers: {
      s: {
        ...OFFER,
        script: ({ rpc }) => {
          if (rpc === 'tools/call') arrived.push(gateway.records().at(-1));
          return undefined;
        },
      },
    },
  });

  await gateway.ask('tools/call', { name: 's__echo' });
  const held = gateway.ask('tools/call', { name: 's__hold' });
  await gateway.fake().holds(1);

  expect(arrived).toMatchObject([{ exposed: 's__echo' }, { exposed: 's__hold' }]);
  for (const record of arrived) expect(record?.status).toBeUndefined();
  expect(gateway.records()).toMatchObject([{ exposed: 's__echo', status: 'ok' }, { exposed: 's__hold' }]);
  gateway.breakAudit();
  gateway.fake().release();
  expect(await held).toMatchObject(AUDIT_UNAVAILABLE);
});

test('a log that cannot be written refuses every call, and nothing of them is sent or told', async () => {
  const gateway = await start();
  gateway.breakAudit();

  const called = await gateway.ask('tools/call', { name: 's__echo' });
  const denied = await gateway.ask('tools/call', { name: 's__secret' });
  const listed = await gateway.ask('tools/list');
  const session = await openSession(gateway.origin);
  const legacy = await send(gateway.origin, session.request('tools/list'));
  const broken = await gateway.ready();
  const sent = gateway.fake().calls.length;
  gateway.mendAudit();
  const again = await gateway.ask('tools/call', { name: 's__echo' });

  expect([called, denied, listed]).toMatchObject([AUDIT_UNAVAILABLE, AUDIT_UNAVAILABLE, AUDIT_UNAVAILABLE]);
  expect(legacy.text).toContain('-33008');
  expect(broken).toMatchObject({ status: 503, ready: false, audit: { writable: false } });
  expect(sent).toBe(0);
  expect(again.error).toBeUndefined();
  expect(await gateway.ready()).toMatchObject({ status: 200, ready: true, audit: { writable: true } });
  expect(gateway.logged('the audit log cannot be written; calls are refused')).toBe(true);
  expect(gateway.logged('the audit log can be written again')).toBe(true);
});

test('a refusal for too much memory is recorded, and a denied call takes none of it', async () => {
  const gateway = await start();
  const left = new Cancellation();
  const listening = Promise.withResolvers<void>();
  const exchange = { ...ownExchange(left.signal), notify: () => listening.resolve() };
  const large = 'x'.repeat(1 << 20);
  const listener = gateway.direct(
    'subscriptions/listen',
    { notifications: {}, large: new Array<string>(300).fill(large) },
    { bytes: 300 << 20, exchange },
  );
  listener.catch(() => undefined); // it ends as cancelled
  await listening.promise;

  const refused = gateway.direct('tools/call', { name: 's__echo' });
  await expect(refused).rejects.toMatchObject({ code: 'overloaded' });
  await expect(gateway.direct('tools/call', { name: 's__secret' })).rejects.toMatchObject({ code: 'unknown_target' });
  const sent = gateway.fake().calls.length;
  left.abort();
  await expect(listener).rejects.toBeInstanceOf(GatewayError);
  await gateway.direct('tools/call', { name: 's__echo' });

  expect(sent).toBe(0);
  expect(gateway.records()).toMatchObject([
    { method: 'subscriptions/listen', status: 'cancelled' },
    { exposed: 's__echo', status: 'refused', error: 'overloaded', decision: { allowed: true } },
    { exposed: 's__secret', status: 'refused', error: 'unknown_target', decision: { allowed: false } },
    { exposed: 's__echo', status: 'ok' },
  ]);
});

test('whoever looks on is told of each call once, with its status and why it is not ok', async () => {
  const gateway = await start();

  await gateway.ask('tools/call', { name: 's__echo' });
  await gateway.ask('tools/call', { name: 's__fail' });
  await gateway.ask('tools/call', { name: 's__secret' });
  await gateway.ask('prompts/get', { name: 's__nothing' });
  const leaving = open(gateway.origin, modern('tools/call', { name: 's__hold' }));
  leaving.on('error', () => undefined); // it is taken back
  await gateway.fake().holds(1);
  leaving.destroy();
  const told = await gateway.toldOf('call', 5);

  expect(told).toEqual([
    { kind: 'call', method: 'tools/call', status: 'ok' },
    { kind: 'call', method: 'tools/call', status: 'tool_error', reason: 'it failed' },
    {
      kind: 'call',
      method: 'tools/call',
      status: 'refused',
      reason: expect.stringMatching(/^denied by mcpServers\.s\.tools\.deny: .*mcp-gateway\.json:\d+:\d+/) as string,
    },
    { kind: 'call', method: 'prompts/get', status: 'refused', reason: 'Unknown prompt: s__nothing' },
    { kind: 'call', method: 'tools/call', status: 'cancelled', reason: expect.any(String) as string },
  ]);
  expect(gateway.records().map(({ status }) => status)).toEqual(told.map(({ status }) => status));
});
