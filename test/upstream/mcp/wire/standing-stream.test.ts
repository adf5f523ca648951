// The stream of a legacy session for messages that belong to no request: when the gateway asks for it.
import { Pool } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { HttpWire } from '../../../../src/upstream/mcp/wire/http-wire.ts';
import { httpOptions, Report, stream, web } from '../peers.ts';

test('no call is sent before the server has answered for the stream: one that resumes streams would take it for that of the call', async () => {
  const server = await web(({ http, message, response }) => {
    if (http === 'GET') stream(response);
    else if (message.id === undefined) response.writeHead(202).end();
    else stream(response).end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: {} })}\n\n`);
  });
  const asked = Promise.withResolvers<() => void>();
  const dispatcher = new Pool(new URL(server.url).origin).compose((dispatch) => (options, handler) => {
    if (options.method === 'GET') asked.resolve(() => void dispatch(options, handler));
    else dispatch(options, handler);
    return true;
  });
  const wire = new HttpWire({ ...httpOptions(server.url, new Report()), dispatcher });
  onTestFinished(() => wire.close());
  wire.adopt({ era: 'legacy', version: '2025-11-25' });

  const call = wire.request({ method: 'tools/call', params: { name: 'tool' }, totalMs: 5_000 });
  const ask = await asked.promise;
  ask();
  await call;

  expect(server.visits.all.map(({ http, message }) => message.method ?? http)).toEqual(['GET', 'tools/call']);
});
