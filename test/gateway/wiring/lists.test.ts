// Lists, calls and records say the same of what may be used, and lists say who may share them.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { modern, openSession, stream } from '../../integration/harness/raw.ts';
import { tool } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';

const NAMES = ['a', 'ab', 'abc', 'b', 'ba', 'c'];
const OFFER = {
  tools: NAMES,
  prompts: NAMES,
  resources: NAMES.map((name) => `mem://${name}`),
  templates: NAMES.map((name) => `mem://t-${name}/{id}`),
};

interface Patterns {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

interface Endpoint {
  readonly path: string;
  readonly prefix: string;
}

const ALL: Endpoint = { path: '/mcp', prefix: 's__' };
const ONE: Endpoint = { path: '/mcp/s/s', prefix: '' };

/** A kind of thing: its setting, its list, and how one of its things is named and used. */
interface Kind {
  readonly setting: 'tools' | 'prompts' | 'resources';
  readonly list: readonly [method: string, key: string, id: string];
  readonly originals: readonly string[];
  use(name: string): [method: string, params: JsonObject];
}

const KINDS: readonly Kind[] = [
  {
    setting: 'tools',
    list: ['tools/list', 'tools', 'name'],
    originals: OFFER.tools,
    use: (name: string) => ['tools/call', { name }],
  },
  {
    setting: 'prompts',
    list: ['prompts/list', 'prompts', 'name'],
    originals: OFFER.prompts,
    use: (name: string) => ['prompts/get', { name }],
  },
  {
    setting: 'resources',
    list: ['resources/list', 'resources', 'uri'],
    originals: OFFER.resources,
    use: (uri: string) => ['resources/read', { uri }],
  },
  {
    setting: 'resources',
    list: ['resources/templates/list', 'resourceTemplates', 'uriTemplate'],
    originals: OFFER.templates,
    use: (uri: string) => [
      'completion/complete',
      { ref: { type: 'ref/resource', uri }, argument: { name: 'id', value: '' } },
    ],
  },
];

/** What patterns mean, written once more. */
function isMatched(name: string, patterns: readonly string[]): boolean {
  const expressions = patterns.map((pattern) => pattern.replaceAll('*', '.*'));
  return expressions.some((expression) => new RegExp(`^${expression}$`).test(name));
}

const piece = fc.constantFrom('a', 'b', 'c', '*', 'mem://', 't-');
const pattern = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''));
const patterns = fc.record({
  allow: fc.oneof(fc.constant(['*']), fc.array(pattern, { maxLength: 3 })),
  deny: fc.array(pattern, { maxLength: 2 }),
});
const settings = fc.record({ tools: patterns, prompts: patterns, resources: patterns });

/** What the gateway says of an unknown thing, with another name put in. */
async function unknownAnswer(
  gateway: Composition,
  kind: Kind,
  { path, prefix }: Endpoint,
): Promise<(name: string) => unknown> {
  const name = `${prefix}nothing`;
  const answer = await gateway.ask(...kind.use(name), { path });
  return (other) => JSON.parse(JSON.stringify(answer).replaceAll(name, other)) as unknown;
}

async function checkKind(
  gateway: Composition,
  kind: Kind,
  { endpoint, patterns: { allow, deny } }: { endpoint: Endpoint; patterns: Patterns },
): Promise<void> {
  const { path, prefix } = endpoint;
  const named = kind.setting === 'resources' ? '' : prefix;
  const [method, key, id] = kind.list;
  const entries = (await gateway.ask(method, {}, { path })).result?.[key] as JsonObject[];
  const unknown = await unknownAnswer(gateway, kind, { path, prefix: named });
  const expected = kind.originals.filter((name) => isMatched(name, allow) && !isMatched(name, deny));
  expect(entries.map((entry) => entry[id])).toEqual(expected.map((name) => named + name));
  for (const original of kind.originals) {
    const exposed = named + original;
    const before = gateway.fake().calls.length;
    const answer = await gateway.ask(...kind.use(exposed), { path });
    const listed = expected.includes(original);
    const { decision, status } = gateway.record();
    expect(decision.allowed).toBe(listed);
    expect(gateway.fake().calls.length - before).toBe(listed ? 1 : 0);
    expect(status).toBe(listed ? 'ok' : 'refused');
    if (!listed) {
      expect(answer).toEqual(unknown(exposed));
      expect(decision.rule).toBe(`mcpServers.s.${kind.setting}.${isMatched(original, deny) ? 'deny' : 'allow'}`);
      expect(decision.source).toMatch(/mcp-gateway\.json:\d+:\d+$/);
    }
  }
}

test('whatever the patterns are, what is listed can be used, what is not is unknown, and the record says why', async () => {
  const gateway = await Composition.start({ servers: { s: OFFER } });

  await fc.assert(
    fc.asyncProperty(settings, fc.constantFrom(ALL, ONE), async (drawn, endpoint) => {
      await gateway.reload(gateway.file({ entries: { s: drawn } }));
      for (const kind of KINDS) await checkKind(gateway, kind, { endpoint, patterns: drawn[kind.setting] });
    }),
    { numRuns: 8, seed: 20_261_130 },
  );
});

test('lists follow a server: what it adds is listed under its patterns, on the endpoint of all and on its own', async () => {
  const gateway = await Composition.start({
    servers: { s: { tools: ['one'] }, other: { tools: ['x'] } },
    entries: { s: { tools: { deny: ['secret'] } } },
  });
  const names = async (path: string) =>
    ((await gateway.ask('tools/list', {}, { path })).result?.tools as JsonObject[]).map(({ name }) => name);
  const listener = await stream(
    gateway.origin,
    modern('subscriptions/listen', { notifications: { toolsListChanged: true } }),
  );
  await gateway.fake().listening();

  gateway.fake().offer = { tools: ['one', 'two', 'secret'] };
  gateway.fake().notify('notifications/tools/list_changed');
  while ((await names('/mcp')).length < 3) await listener.inbox.find({ method: 'notifications/tools/list_changed' });

  expect(await names('/mcp')).toEqual(['s__one', 's__two', 'other__x']);
  expect(await names('/mcp/s/s')).toEqual(['one', 'two']);
  expect(await names('/mcp/s/other')).toEqual(['x']);
});

describe('a listener hears of the lists that it asked for, and of no others:', () => {
  test.for([
    ['tools', 'tools', 'toolsListChanged'],
    ['prompts', 'prompts', 'promptsListChanged'],
    ['resources', 'resources', 'resourcesListChanged'],
    ['templates', 'resources', 'resourcesListChanged'],
  ] as const)('%s', async ([kind, list, filter]) => {
    const gateway = await Composition.start({ servers: { s: { tools: ['one'] }, other: { tools: ['x'] } } });
    const listen = async (wanted: JsonObject) => {
      const opened = await stream(gateway.origin, modern('subscriptions/listen', { notifications: wanted }));
      await opened.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
      return opened;
    };
    const others = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, [filter]: false };
    const [wanting, silent] = [await listen({ [filter]: true }), await listen(others)];
    await gateway.fake().listening();

    gateway.fake().offer = { tools: ['one'], [kind]: ['mem://new'] };
    gateway.fake().notify(`notifications/${list}/list_changed`);
    const told = await wanting.inbox.find({ method: `notifications/${list}/list_changed` });
    await gateway.reload(gateway.file({ entries: { other: { alias: 'o' } } })); // which all hear of
    const method = expect.stringMatching(/list_changed$/) as string;
    const heard = await silent.inbox.next();

    expect(told).toMatchObject({ method });
    expect(heard?.method).not.toBe(told.method);
  });
});

test('of what only changed behind their patterns listeners and sessions hear nothing', async () => {
  const gateway = await Composition.start({
    servers: { s: { tools: ['one', 'secret'], prompts: ['secret'] } },
    entries: { s: { tools: { deny: ['secret*'] }, prompts: { deny: ['secret'] } } },
  });
  const notifications = { toolsListChanged: true, promptsListChanged: true };
  const listener = await stream(gateway.origin, modern('subscriptions/listen', { notifications }));
  await listener.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  const session = await openSession(gateway.origin);
  const standing = await stream(gateway.origin, session.get());
  await standing.firstId;
  await gateway.fake().listening();

  gateway.fake().offer = { tools: ['secret2', 'one', tool('secret', { title: 'new' })], prompts: ['secret', 'open'] };
  gateway.fake().notify('notifications/tools/list_changed');
  for (const { inbox } of [listener, standing]) {
    await inbox.find({ method: 'notifications/prompts/list_changed' });
    expect(inbox.all.map(({ method }) => method)).not.toContain('notifications/tools/list_changed');
  }

  gateway.fake().offer = { tools: [tool('one', { title: 'new' }), 'secret'], prompts: ['secret', 'open'] };
  gateway.fake().notify('notifications/tools/list_changed');
  for (const { inbox } of [listener, standing]) await inbox.find({ method: 'notifications/tools/list_changed' });
});

test('a list of more than a page goes on where its cursor says, and only the list that the cursor is of', async () => {
  const names = Array.from({ length: 1_001 }, (_, index) => `t${index}`);
  const gateway = await Composition.start({ servers: { s: { tools: names } } });
  const page = async (params: JsonObject, method = 'tools/list') => {
    const { result, error } = await gateway.ask(method, params);
    const tools = (result?.tools as JsonObject[] | undefined)?.map(({ name }) => name);
    return { tools, nextCursor: result?.nextCursor, code: error?.code };
  };

  const first = await page({});
  const cursor = first.nextCursor as string;
  const second = await page({ cursor });
  const stale = await Promise.all([
    page({ cursor: `${cursor}x` }),
    page({ cursor: '0' }),
    page({ cursor: 1 }),
    page({ cursor }, 'prompts/list'),
  ]);

  expect([...(first.tools ?? []), ...(second.tools ?? [])]).toEqual(names.map((name) => `s__${name}`));
  expect(second).toMatchObject({ tools: ['s__t1000'], nextCursor: undefined });
  for (const { code } of stale) expect(code).toBe(-32602);
});

test('a list that is filtered is made once for as long as nothing changes', async () => {
  const gateway = await Composition.start({
    servers: { s: { tools: ['one', 'secret'] } },
    entries: { s: { tools: { deny: ['secret'] } } },
  });

  const first = await gateway.direct('tools/list');
  const second = await gateway.direct('tools/list');

  expect(first).toMatchObject({ kind: 'list', list: { entries: [{ exposed: 's__one' }] } });
  expect('list' in first && 'list' in second && first.list === second.list).toBe(true);
});

describe('lists and discovery may be shared', () => {
  const TOKENS = { auth: { tokens: [{ id: 'alice', token: '${env:TOKEN}' }] } };
  const TOKEN = 'a-token-of-enough-bytes';
  const LISTS = [
    'server/discover',
    'tools/list',
    'prompts/list',
    'resources/list',
    'resources/templates/list',
  ] as const;
  let gateway: Composition;
  beforeAll(async () => {
    gateway = await Composition.startShared({ servers: { s: OFFER }, env: { TOKEN } });
  });
  afterAll(() => gateway.close());

  test.for([
    ['by everybody where nothing is restricted', 'public', {}, {}],
    ['by nobody where there are tokens', 'private', {}, TOKENS],
    ['by nobody where tools are denied', 'private', { tools: { deny: ['a'] } }, {}],
    ['by nobody where not all prompts are allowed', 'private', { prompts: { allow: ['a'] } }, {}],
    ['by nobody where resources are denied', 'private', { resources: { deny: ['mem://a'] } }, {}],
    ['by everybody again', 'public', { tools: { allow: ['*'] } }, {}],
  ] as const)('%s', async ([, scope, entry, config]) => {
    await gateway.reload(gateway.file({ entries: { s: entry }, config }));

    const headers = { Authorization: `Bearer ${TOKEN}` };
    for (const path of ['/mcp', '/mcp/s/s'])
      for (const method of LISTS)
        expect((await gateway.ask(method, {}, { path, headers })).result).toMatchObject({ cacheScope: scope });
  });
});
