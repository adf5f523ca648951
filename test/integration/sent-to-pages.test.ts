// That a page is done with is told to the session that a legacy server sent there, and to no other (2025-11-25 client/elicitation).
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { openTried } from './harness/kept.ts';
import { openSession, send, stream } from './harness/raw.ts';
import { startResourceServer } from './harness/resource-server.ts';
import { openEvents, said, type Script, tool, type Visit } from './harness/scripted.ts';
import { SessionClient } from './harness/session-client.ts';

const COMPLETE = 'notifications/elicitation/complete';
const capabilities = { elicitation: { url: {} } };

const pageOf = ({ params }: Visit) => {
  const { id = '' } = params.arguments as JsonObject;
  return { mode: 'url', elicitationId: id, url: 'https://a.example/x', message: 'Go' };
};

/** `required` fails until its caller has been on a page; `live` sends it there, and says that it is back before it answers. */
async function serving() {
  const calls: ((message: JsonObject) => void)[] = [];
  const script: Script = (visit) => {
    if (visit.rpc === 'tools/list') return { tools: [tool('required'), tool('live')] };
    if (visit.rpc === '' && visit.id === 'ask') {
      for (const tell of calls.splice(0)) tell({});
      visit.response.writeHead(202).end();
      return undefined;
    }
    if (visit.rpc !== 'tools/call') return undefined;
    const page = pageOf(visit);
    if (visit.params.name === 'required') {
      const error = { code: -32042, message: 'Go first', data: { elicitations: [page] } };
      visit.response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: visit.id, error }));
    } else {
      const tell = openEvents(visit);
      tell({ id: 'ask', method: 'elicitation/create', params: page });
      calls.push(() => {
        tell({ method: COMPLETE, params: { elicitationId: page.elicitationId } });
        tell({ id: visit.id ?? null, result: said('done') });
        visit.response.end();
      });
    }
    return undefined;
  };
  const server = await startResourceServer([], script);
  onTestFinished(() => server.stop());
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
  await server.visited(({ http }) => http === 'GET');
  return { server, gateway };
}

test('a session that a shared server sent to a page by an error hears that it is done, and no other session does', async () => {
  const { server, gateway } = await serving();
  const open = () => SessionClient.open(gateway.origin, { capabilities });
  const [one, other] = await Promise.all([open(), open()]);
  for (const [client, id] of [
    [one, 'of-one'],
    [other, 'of-other'],
  ] as const)
    expect(await client.call('s__required', { id })).toContain('-32042');
  for (const elicitationId of ['unknown', 'of-one', 'of-other', 'of-one']) server.notify(COMPLETE, { elicitationId });
  const heard = await Promise.all([one, other].map(({ news }) => news.inbox.find({ method: COMPLETE })));

  expect(heard.map(({ params }) => params)).toEqual([{ elicitationId: 'of-one' }, { elicitationId: 'of-other' }]);
  expect([one.heard(COMPLETE), other.heard(COMPLETE)]).toEqual([1, 1]);
});

test('while the call runs that sent it there, a session hears of it on the stream of that call', async () => {
  const { gateway } = await serving();
  const session = await openSession(gateway.origin, { capabilities });
  for (const id of ['shared', 'own']) {
    const call = session.request('tools/call', { name: 's__live', arguments: { id } }, { id });
    const { inbox, ended } = await stream(gateway.origin, call);
    const question = await inbox.find({ method: 'elicitation/create' });
    const answer = { jsonrpc: '2.0', id: question.id, result: { action: 'accept' } };
    await send(gateway.origin, session.post(JSON.stringify(answer)));
    await ended;

    expect(inbox.all.slice(1)).toEqual([
      { jsonrpc: '2.0', method: COMPLETE, params: { elicitationId: id } },
      { jsonrpc: '2.0', id, result: expect.objectContaining(said('done')) as JsonObject },
    ]);
  }
});
