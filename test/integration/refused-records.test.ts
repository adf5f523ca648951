// Audit records every well-formed call, and one event for many requests that never became a call.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, startGateway } from './harness/gateway.ts';
import { errorOf, modern, openSession, send, type Sent } from './harness/raw.ts';
import { modern as modernServer, type ScriptedServer, startScripted, tool } from './harness/scripted.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { recordsOf } from './harness/tasks.ts';

let web: RunningServer;
let mute: ScriptedServer;
let gateway: RunningGateway;

beforeAll(async () => {
  web = await startServer('sdk-server.ts', '--era', 'modern', '--transport', 'http');
  mute = await startScripted(
    modernServer(
      () => [tool('wait')],
      () => undefined,
    ),
  );
  gateway = await startGateway({
    config: {
      mcpServers: {
        web: { url: web.url },
        echo: fixture('echo-stdio.ts'),
        mute: { url: mute.url, timeouts: { total: '1s' } },
      },
    },
  });
  await gateway.attempted();
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([web.stop(), mute.stop()]);
});

/** What was recorded of this request, whose kind of call nobody else makes; its answer is an error of this code. */
async function recordedOf(sent: Sent, code: number): Promise<JsonObject[]> {
  const before = await recordsOf(gateway);
  expect(errorOf(await send(gateway.origin, sent)).code).toBe(code);
  const after = await recordsOf(gateway);
  return after.slice(0, after.length - before.length);
}

const undecided = { allowed: false, rule: 'none', reason: 'the call was refused before policy was asked' };
const refused = { kind: 'call', status: 'refused', decision: undecided };

describe('A call that is malformed has one record, which says what is known of it', () => {
  test.each<[string, JsonObject, JsonObject]>([
    ['arguments that are a number', { name: 'echo__echo', arguments: 3 }, { shape: 'integer' }],
    ['an empty name', { name: '', arguments: {} }, { shape: {} }],
  ])('of a legacy client: %s', async (_what, params, known) => {
    const session = await openSession(gateway.origin);
    const records = await recordedOf(session.request('tools/call', params), -32602);

    const downstream = { era: 'legacy', transport: 'streamable-http' };
    expect(records).toMatchObject([
      { ...refused, ...known, method: 'tools/call', error: 'invalid_params', downstream },
    ]);
  });

  test('arguments that are a number, of a modern client', async () => {
    const records = await recordedOf(modern('tools/call', { name: 'echo__echo', arguments: 3 }), -32602);

    expect(records).toMatchObject([{ ...refused, method: 'tools/call', error: 'invalid_params', shape: 'integer' }]);
  });

  test('a method that the one server of an endpoint does not declare', async () => {
    const records = await recordedOf(modern('prompts/list', {}, { path: '/mcp/s/echo' }), -32601);

    expect(records).toMatchObject([{ ...refused, method: 'prompts/list', server: 'echo', error: 'method_not_found' }]);
  });

  test('headers of parameters that differ from the arguments', async () => {
    const params = { name: 'web__region', arguments: { region: 'eu' } };
    const records = await recordedOf(modern('tools/call', params, { headers: { 'Mcp-Param-Region': 'us' } }), -32020);

    expect(records).toMatchObject([
      {
        ...refused,
        method: 'tools/call',
        exposed: 'web__region',
        original: 'region',
        server: 'web',
        error: 'header_mismatch',
        shape: { region: 'string(2)' },
      },
    ]);
  });
});

test('the outcome of a call that timed out says which instance was asked, and how', async () => {
  const sent = modern('tools/call', { name: 'mute__wait', arguments: {} });
  expect(errorOf(await send(gateway.origin, sent)).data).toMatchObject({ reason: 'upstream_timed_out' });

  expect(await recordsOf(gateway, '--status', 'timed_out')).toMatchObject([
    {
      server: 'mute',
      error: 'upstream_timed_out',
      instance: expect.stringMatching(/./) as string,
      upstream: { era: 'modern', transport: 'streamable-http' },
    },
  ]);
});

const POST = { headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' } };

test.for<[string, () => Sent, string, string]>([
  [
    'a Host that is not ours',
    () => modern('tools/list', {}, { headers: { Host: 'evil.example' } }),
    'request_refused',
    'forbidden_host',
  ],
  ['what is not JSON', () => ({ ...POST, body: '{' }), 'request_refused', 'parse_error'],
  ['a method that nobody knows', () => modern('no/such/method'), 'request_refused', 'method_not_found'],
  [
    'a header that differs from the body',
    () => modern('tools/list', {}, { headers: { 'Mcp-Method': 'prompts/list' } }),
    'request_refused',
    'header_mismatch',
  ],
  [
    'a session that is unknown',
    () => ({
      headers: { ...POST.headers, 'Mcp-Session-Id': 'never-was', 'MCP-Protocol-Version': '2025-11-25' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    }),
    'session_refused',
    'The session is unknown or has ended.',
  ],
])('%s is one event however often it comes, and no call', async ([, sent, event, reason]) => {
  const calls = await recordsOf(gateway);
  for (let time = 0; time < 20; time++) expect((await send(gateway.origin, sent())).status).toBeGreaterThanOrEqual(400);
  const events = await recordsOf(gateway, '--kind', 'event');
  const ofKind = events.filter((each) => each.event === event && (each.detail as JsonObject).reason === reason);

  expect(ofKind).toMatchObject([{ event, detail: { address: '127.0.0.1', reason, attempts: 1 } }]);
  expect(await recordsOf(gateway)).toHaveLength(calls.length);
});
