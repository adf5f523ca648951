// HTTP+SSE to a server: the path for POST, and how calls fail with the stream.
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../../../src/core/secret.ts';
import { SseWire } from '../../../../src/upstream/mcp/wire/sse-wire.ts';
import type { Timeouts } from '../../../../src/config/config.ts';
import { call, caller, httpOptions, type Message, peer, Report, Seen, stream, type Visit, web } from '../peers.ts';

/** A wire to a server that answers GET as the test says; it accepts POST unless the test says otherwise. */
async function connect(script: {
  get: (visit: Visit) => void;
  post?: (visit: Visit) => void;
  timeouts?: Partial<Timeouts>;
}) {
  const report = new Report();
  const sent = new Seen<Message>();
  const server = await web((visit) => {
    if (visit.http === 'GET') script.get(visit);
    else if (script.post) script.post(visit);
    else visit.response.writeHead(202).end();
    if (visit.http === 'POST') sent.add(visit.message);
  });
  const options = { ...httpOptions(server.url, report, script), headers: { 'X-Key': new Secret('k') } };
  const wire = new SseWire(options);
  onTestFinished(() => wire.close());
  return { wire, report, sent, visits: server.visits, url: server.url };
}

const endpoint = (where: string) => ({
  get: ({ response }: Visit) => void stream(response).write(`event: endpoint\ndata: ${where}\n\n`),
});

test('messages go to the address that the server names, relative or not, with the headers of the entry', async () => {
  const there = await connect(endpoint('/messages?session=1'));
  await there.wire.start();
  there.wire.adopt({ era: 'legacy', version: '2025-06-18' });

  await there.wire.notify('notifications/initialized', {});

  expect(there.visits.all.map(({ http, headers }) => [http, headers['x-key']])).toEqual([
    ['GET', 'k'],
    ['POST', 'k'],
  ]);
  expect(there.visits.all[1]?.headers['mcp-protocol-version']).toBe('2025-06-18');
});

test.each(['http://elsewhere.example/messages', '//127.0.0.1:9/x', 'http://[', 'file:///etc/passwd'])(
  'messages are not sent to %s',
  async (where) => {
    const there = await connect(endpoint(where));

    await expect(there.wire.start()).rejects.toThrow(/not of its own origin/);
    expect(there.visits.all.map(({ http }) => http)).toEqual(['GET']);
  },
);

test('a server that answers GET with something else, refuses it, or never names an address is told apart', async () => {
  const page = await connect({
    get: ({ response }) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
  });
  const refusal = await connect({ get: ({ response }) => void response.writeHead(405).end() });
  const silent = await connect({ get: ({ response }) => void stream(response), timeouts: { firstByte: 200 } });
  const ending = await connect({ get: ({ response }) => void stream(response).end() });

  await expect(page.wire.start()).rejects.toThrow(/not an HTTP\+SSE endpoint/);
  await expect(refusal.wire.start()).rejects.toMatchObject({ code: 'upstream_rejected' });
  await expect(silent.wire.start()).rejects.toThrow(/timeouts\.firstByte/);
  await expect(ending.wire.start()).rejects.toThrow(/ended its stream/);
});

test('a message that the server refuses fails its own call; a session that it forgot is lost', async () => {
  const statuses: Record<string, number> = { busy: 503, gone: 404 };
  const there = await connect({
    ...endpoint('/messages'),
    post: ({ message, response }) => void response.writeHead(statuses[message.params?.name as string] ?? 202).end(),
  });
  await there.wire.start();
  const other = await call(there, caller(), { name: 'other' });

  const busy = await call(there, caller(), { name: 'busy' });
  const gone = await call(there, caller(), { name: 'gone' });

  await expect(busy.reply).rejects.toMatchObject({ code: 'upstream_unreachable' });
  await expect(gone.reply).rejects.toMatchObject({ name: 'SessionLost' });
  await there.wire.close();
  await expect(other.reply).rejects.toMatchObject({ code: 'upstream_closed' });
});

test('the loss of the stream fails every call and ends the connection; a quiet one stays', async () => {
  const there = await peer('sse', { timeouts: { firstByte: 100, idle: 100 } });
  const { id, reply } = await call(there, caller(), { totalMs: 400 });
  await expect(reply).rejects.toThrow(/timeouts\.total/);
  const cancelled = await there.sent.first(({ method }) => method === 'notifications/cancelled');
  const lost = await call(there, caller(), { name: 'lost' });

  there.hangUp();

  await expect(lost.reply).rejects.toMatchObject({ code: 'upstream_closed' });
  expect(cancelled.params).toMatchObject({ requestId: id });
  expect(await there.report.ends.first(() => true)).toBeDefined();
});

test('a message over the limit ends the stream, and says so to every call', async () => {
  const there = await peer('sse', { maxMessageBytes: 10_000 });
  const { id, reply } = await call(there, caller());

  there.say({ id, result: { content: [{ type: 'text', text: 'x'.repeat(20_000) }] } });

  await expect(reply).rejects.toMatchObject({ code: 'upstream_message_too_large' });
});
