// A server of an older revision behind a composed gateway: what sessions want of it, and its questions to a modern client.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { errorOf, modern, openSession, resultOf, send, stream } from '../../integration/harness/raw.ts';
import { answer, legacy, openEvents, refuse, said, tool, type Visit } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';

const QUESTION = {
  id: 'q',
  method: 'elicitation/create',
  params: { message: 'who?', requestedSchema: { type: 'object', properties: {} } },
};
const CAN_BE_ASKED = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };

/** Speaks 2025-06-18; its tool asks its caller before it answers with what was said. */
function olderServer(): (visit: Visit) => JsonObject | undefined {
  let waiting: { visit: Visit; say: (message: JsonObject) => void } | undefined;
  return (visit) => {
    const { rpc, id, response } = visit;
    switch (rpc) {
      case 'server/discover': {
        refuse(visit, 400);
        return;
      }
      case 'initialize':
        return {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {}, logging: {}, resources: { subscribe: true } },
          serverInfo: { name: 'older', version: '1' },
        };
      case 'tools/list':
        return { tools: [tool('ask'), tool('plain')] };
      case 'resources/list':
        return { resources: ['mem://a', 'mem://refused'].map((uri) => ({ uri, name: uri })) };
      case 'logging/setLevel':
      case 'resources/unsubscribe':
        return {};
      case 'resources/subscribe':
        if (visit.params.uri !== 'mem://refused') return {};
        refuse(visit, 200, { named: true });
        return;
      case 'tools/call':
        if (visit.params.name === 'plain') return said('done');
        waiting = { visit, say: openEvents(visit) };
        waiting.say(QUESTION);
        return undefined;
    }
    if (id === QUESTION.id && waiting) {
      const text = JSON.stringify(visit.answer);
      waiting.say({ id: waiting.visit.id ?? null, result: { content: [{ type: 'text', text }] } });
      waiting.visit.response.end();
    }
    if (rpc !== '' && id !== undefined) answer(visit, {});
    else response.writeHead(visit.http === 'POST' ? 202 : 405).end();
    return undefined;
  };
}

const start = (): Promise<Composition> => Composition.start({ servers: { s: { script: olderServer() } } });

test('is told the log level that a session wants, and what it follows and lets go', async () => {
  const gateway = await start();
  const session = await openSession(gateway.origin);

  await send(gateway.origin, session.request('logging/setLevel', { level: 'error' }));
  await send(gateway.origin, session.request('resources/subscribe', { uri: 'mem://a' }));
  await send(gateway.origin, session.request('resources/unsubscribe', { uri: 'mem://a' }));

  expect((await gateway.fake().visited('logging/setLevel')).params).toMatchObject({ level: 'error' });
  expect((await gateway.fake().visited('resources/subscribe')).params).toMatchObject({ uri: 'mem://a' });
  expect((await gateway.fake().visited('resources/unsubscribe')).params).toMatchObject({ uri: 'mem://a' });
});

test('has the log level that a session wants before the next call of the session reaches it', async () => {
  const serve = olderServer();
  let answered = false;
  const script = (visit: Visit) => {
    if (visit.rpc === 'tools/call') return said(answered ? 'at the new level' : 'at the old level');
    if (visit.rpc !== 'logging/setLevel') return serve(visit);
    setTimeout(() => {
      answered = true;
      answer(visit, {});
    }, 50);
    return undefined;
  };
  const gateway = await Composition.start({ servers: { s: { script } } });
  const session = await openSession(gateway.origin);

  await send(gateway.origin, session.request('logging/setLevel', { level: 'debug' }));
  const called = await send(gateway.origin, session.request('tools/call', { name: 's__plain', arguments: {} }));

  expect(resultOf(called)).toMatchObject({ content: [{ text: 'at the new level' }] });
});

test('may refuse that a session follows something, which is told to its client', async () => {
  const gateway = await start();
  const session = await openSession(gateway.origin);

  const refused = await send(gateway.origin, session.request('resources/subscribe', { uri: 'mem://refused' }));
  const followed = await send(gateway.origin, session.request('resources/subscribe', { uri: 'mem://a' }));

  expect(errorOf(refused)).toMatchObject({
    code: -33013,
    message: expect.stringContaining('refused with 200') as string,
  });
  expect(resultOf(followed)).toEqual({});
  expect(gateway.records()).toMatchObject([{ status: 'protocol_error' }, { status: 'ok' }]);
});

test('may refuse that a listener follows something, which the acknowledgement waits for and leaves out', async () => {
  const gateway = await start();

  const notifications = { resourceSubscriptions: ['mem://refused', 'mem://a'] };
  const listener = await stream(gateway.origin, modern('subscriptions/listen', { notifications }));
  const { params } = await listener.inbox.find({ method: 'notifications/subscriptions/acknowledged' });

  expect((params as JsonObject).notifications).toEqual({ resourceSubscriptions: ['mem://a'] });
});

test('is told that the roots of a session changed, and of nothing else that its client notifies', async () => {
  const gateway = await Composition.start({
    servers: { s: { script: olderServer() } },
    entries: { s: { isolation: 'session' } },
  });
  const session = await openSession(gateway.origin, { capabilities: { roots: { listChanged: true } } });
  const call = () => send(gateway.origin, session.request('tools/call', { name: 's__plain', arguments: {} }));
  const changes = () => gateway.fake().count('notifications/roots/list_changed');

  await call();
  await send(gateway.origin, session.notification('notifications/progress', { progressToken: 1, progress: 1 }));
  await call();
  const early = changes();
  await send(gateway.origin, session.notification('notifications/roots/list_changed'));
  await gateway.fake().visited('notifications/roots/list_changed');

  expect(early).toBe(0);
  expect(changes()).toBe(1);
});

test('asks a modern client, whose call waits until it comes back with the answer', async () => {
  const gateway = await start();
  const params = { name: 's__ask', arguments: {} };
  const accepted = { action: 'accept', content: { name: 'me' } };

  const first = await gateway.ask('tools/call', params, { meta: CAN_BE_ASKED });
  const { requestState, inputRequests } = first.result as { requestState: string; inputRequests: JsonObject };
  const [key = ''] = Object.keys(inputRequests);
  const round = { ...params, requestState, inputResponses: { [key]: accepted } };
  const second = await gateway.ask('tools/call', round, { meta: CAN_BE_ASKED });

  expect(first.result).toMatchObject({
    resultType: 'input_required',
    inputRequests: { [key]: { method: 'elicitation/create', params: { message: 'who?' } } },
  });
  expect(second.result).toMatchObject({ resultType: 'complete', content: [{ text: JSON.stringify(accepted) }] });
  expect(gateway.fake().calls).toHaveLength(1);
  expect(gateway.records()).toMatchObject([
    { exposed: 's__ask', status: 'ok' },
    { exposed: 's__ask', status: 'ok' },
  ]);
});

test('a further round of a call is refused once its tool is denied', async () => {
  const gateway = await start();
  const params = { name: 's__ask', arguments: {} };

  const first = await gateway.ask('tools/call', params, { meta: CAN_BE_ASKED });
  await gateway.reload(gateway.file({ entries: { s: { tools: { deny: ['ask'] } } } }));
  const round = { ...params, requestState: first.result?.requestState ?? null, inputResponses: {} };
  const second = await gateway.ask('tools/call', round, { meta: CAN_BE_ASKED });

  expect(second.error).toMatchObject({ code: -32602, message: 'Unknown tool: s__ask' });
  expect(gateway.record()).toMatchObject({ status: 'refused', decision: { allowed: false } });
});

test('that offers one session something else is heard, seen and called so by that session alone', async () => {
  const learned = new Set<unknown>();
  const CHANGED = 'notifications/tools/list_changed';
  const script = legacy(
    () => [tool('learn')],
    new Set(),
    (visit) => {
      const { rpc, id = null, params, headers, response } = visit;
      const session = headers['mcp-session-id'];
      if (rpc === 'tools/list' && learned.has(session)) return { tools: [tool('learn'), tool('extra')] };
      if (rpc !== 'tools/call' || params.name === 'extra') return rpc === 'tools/call' ? said('extra') : undefined;
      learned.add(session);
      const say = openEvents(visit);
      say({ method: CHANGED });
      say({ id, result: said('learned') });
      response.end();
      return undefined;
    },
  );
  const gateway = await Composition.start({ servers: { s: { script } }, entries: { s: { isolation: 'session' } } });
  const [one, other] = [await openSession(gateway.origin), await openSession(gateway.origin)];
  const streams = [await stream(gateway.origin, one.get()), await stream(gateway.origin, other.get())] as const;
  for (const { firstId } of streams) await firstId;
  const tools = async (session: typeof one) => {
    const listed = resultOf(await send(gateway.origin, session.request('tools/list'))).tools as JsonObject[];
    return listed.map(({ name }) => name);
  };
  const call = (session: typeof one, name: string) =>
    send(gateway.origin, session.request('tools/call', { name, arguments: {} }));

  const before = await gateway.ask('tools/list');
  const { all } = gateway.gateway.snapshot.catalogs;
  await call(one, 's__learn');
  await streams[0].inbox.find({ method: CHANGED });

  expect([await tools(one), await tools(other)]).toEqual([['s__learn', 's__extra'], ['s__learn']]);
  expect(resultOf(await call(one, 's__extra'))).toMatchObject({ content: [{ text: 'extra' }] });
  expect((await call(other, 's__extra')).text).toContain('-32602');
  const after = await gateway.ask('tools/list');
  expect([before, after]).toMatchObject([
    { result: { tools: [{ name: 's__learn' }], cacheScope: 'public' } },
    { result: { tools: [{ name: 's__learn' }], cacheScope: 'private' } },
  ]);
  expect(gateway.gateway.snapshot.catalogs.all).toBe(all); // nothing is built again for everybody else
  expect(streams[1].inbox.all.filter(({ method }) => method === CHANGED)).toEqual([]);
});

test('is asked to follow a resource where the session has its own instance', async () => {
  const sessions = new Set<string>();
  const script = legacy(
    () => [tool('plain')],
    sessions,
    (visit) => {
      const { rpc } = visit;
      if (rpc === 'initialize') {
        const id = `own-${sessions.size}`;
        sessions.add(id);
        const capabilities = { tools: {}, resources: { subscribe: true } };
        const agreed = { protocolVersion: '2025-06-18', capabilities, serverInfo: { name: 'older', version: '1' } };
        answer(visit, agreed, { 'mcp-session-id': id });
      }
      if (rpc === 'resources/list') return { resources: [{ uri: 'mem://a', name: 'a' }] };
      if (rpc === 'resources/templates/list') return { resourceTemplates: [] };
      if (rpc === 'resources/subscribe') return {};
      return rpc === 'tools/call' ? said('done') : undefined;
    },
  );
  const gateway = await Composition.start({ servers: { s: { script } }, entries: { s: { isolation: 'session' } } });
  const session = await openSession(gateway.origin);

  await send(gateway.origin, session.request('tools/call', { name: 's__plain', arguments: {} }));
  const followed = await send(gateway.origin, session.request('resources/subscribe', { uri: 'mem://a' }));

  expect(resultOf(followed)).toEqual({});
  const [called] = gateway.fake().calls;
  const asked = await gateway.fake().visited('resources/subscribe');
  expect(asked.headers['mcp-session-id']).toBe(called?.headers['mcp-session-id']);
});
