// A channel that closes cancels its requests at the server, and waits for a moment until the server has the messages.
import { describe, expect, onTestFinished, test } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import { HttpWire } from '../../../src/upstream/mcp/wire/http-wire.ts';
import { call, caller, httpOptions, peer, Report, TRANSPORTS, type Visit, web } from './peers.ts';

const CANCELLED = 'notifications/cancelled';

describe.each(TRANSPORTS)('A channel over %s that is closed', (transport) => {
  test('cancels the calls in flight at the server, those of the gateway too, and takes no others', async () => {
    const there = await peer(transport);
    there.wire.adopt({ era: 'legacy', version: '2025-06-18' });
    const [one, two] = [await call(there, caller()), await call(there, caller())];
    const own = there.wire.request({ method: 'tools/list', params: {}, totalMs: 5_000 });
    const { id } = await there.sent.first(({ method }) => method === 'tools/list');
    const ends = Promise.allSettled([one.reply, two.reply, own]);
    await there.wire.close();
    const cancellations = await Promise.all(
      [one.id, two.id, id].map((each) =>
        there.sent.first(({ method, params }) => method === CANCELLED && params?.requestId === each),
      ),
    );

    expect(cancellations).toHaveLength(3);
    for (const end of await ends)
      expect(end).toMatchObject({
        status: 'rejected',
        reason: { code: 'upstream_closed', message: 'The connection to "s" was closed.' },
      });
    await expect(there.wire.request({ method: 'tools/list', params: {}, totalMs: 5_000 })).rejects.toThrow(
      GatewayError,
    );
  });

  test('says nothing of calls that have ended', async () => {
    const there = await peer(transport);
    there.wire.adopt({ era: 'legacy', version: '2025-06-18' });
    const { id, reply } = await call(there, caller());
    there.say({ id, result: {} }, id);
    await reply;
    await there.wire.close();

    expect(there.sent.all.filter(({ method }) => method === CANCELLED)).toEqual([]);
  });
});

/** A session over Streamable HTTP with a call in flight, at a server that treats a cancellation as the test says. */
async function inSession(cancelled: (visit: Visit) => void) {
  const server = await web((visit) => {
    const { http, message, response } = visit;
    if (message.method === 'initialize')
      response
        .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: {} }));
    else if (http === 'DELETE') response.writeHead(200).end();
    else if (message.method === CANCELLED) cancelled(visit);
    else if (http === 'GET') response.writeHead(405).end();
  });
  const wire = new HttpWire(httpOptions(server.url, new Report()));
  onTestFinished(() => wire.close());
  await wire.request({ method: 'initialize', params: {}, totalMs: 5_000 });
  wire.adopt({ era: 'legacy', version: '2025-06-18' });
  wire.request({ method: 'tools/call', params: {}, exchange: caller(), totalMs: 60_000 }).catch(() => undefined);
  await server.visits.first(({ message }) => message.method === 'tools/call');
  return { server, wire };
}

describe('A session over Streamable HTTP', () => {
  test('is deleted only when the server has taken the cancellation', async () => {
    const order: string[] = [];
    const { server, wire } = await inSession(({ response }) => {
      response.once('finish', () => order.push('taken'));
      setTimeout(() => response.writeHead(202).end(), 200);
    });
    const deleted = server.visits.first(({ http }) => http === 'DELETE').then(() => order.push('deleted'));
    await Promise.all([wire.close(), deleted]);

    expect(order).toEqual(['taken', 'deleted']);
  });

  test('is deleted all the same where the server does not take it', async () => {
    const { server, wire } = await inSession(() => undefined);
    await wire.close();

    expect(server.visits.all.filter(({ http }) => http === 'DELETE')).toHaveLength(1);
  });
});
