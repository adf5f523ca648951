// What is told of a failure: callers get no secret and nothing of stderr, the operator gets the cause.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { ask, callText, modern, refuse, startScripted, tool, type Visit } from './harness/scripted.ts';
import { statusOf, statusUntil } from './harness/status.ts';

const TRACE = `loading
/app/index.js:7
    throw new Error('a canary: no database');
    ^

Error: a canary: no database
    at main (/app/index.js:7:9) {
  code: 'E_DATABASE'
}

Node.js v24.1.0
`;

describe('A server that ends', () => {
  test('during a call shows nothing of its stderr to callers, and the cause to the operator', async () => {
    const gateway = await openTried({ config: { mcpServers: { s: fixture('wedged-stdio.ts') } } });

    const during = await ask(gateway.url, 'tools/call', { name: 's__die', arguments: { words: TRACE } });
    const { lastError } = await statusUntil(gateway, 's', ({ restarts, state }) => restarts > 0 && state === 'ready');
    const { stdout } = await gateway.cli('audit', 'query', '--json', '--kind', 'event');

    expect(during.error).toMatchObject({ code: -33011 });
    expect(during.error?.message).toMatch(
      /went away during the call: The process of ".*" ended with exit code 3 without being asked to\.$/,
    );
    expect(JSON.stringify(during)).not.toContain('canary');
    expect(lastError).toMatch(/exit code 3 .* Its last words on stderr: Error: a canary: no database$/);
    const ended = stdout.split('\n').find((line) => line.includes('server_ended'));
    expect(ended).toContain('Its last words on stderr: Error: a canary: no database');
  });

  test('before it is greeted shows the cause to the operator alone', async () => {
    const gateway = await openTried({
      config: { mcpServers: { s: fixture('wedged-stdio.ts', '--start', 'exit'), t: fixture('echo-stdio.ts') } },
    });

    const offered = await ask(`${gateway.origin}/mcp/s/s`, 'tools/call', { name: 'echo' });
    const { lastError } = await statusOf(gateway, 's');

    expect(offered.error).toMatchObject({ code: -33010 });
    expect(offered.error?.message).toContain('exit code 4');
    expect(offered.error?.message).toContain('went away before it was ready: ');
    expect(JSON.stringify(offered)).not.toContain('canary');
    expect(lastError).toMatch(/exit code 4 .* Its last words on stderr: a canary: the key is wrong$/);
  });
});

test('A command that is not found tells the PATH to the operator alone', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: { command: 'no-such-program-at-all' } } } });

  const called = await callText(gateway.url, 's__x');
  const { lastError } = await statusOf(gateway, 's');

  expect(called).toContain('The command no-such-program-at-all was not found in PATH.');
  expect(called).not.toContain('/bin');
  expect(lastError).toMatch(/was not found in PATH\. .* PATH is .*\/bin/);
});

describe('A secret of an entry', () => {
  const KEY = 'sk-canary-"quoted"-1234';
  const SHAPES: readonly [string, (visit: Visit) => JsonObject | undefined][] = [
    [
      'a JSON-RPC error',
      (visit) => {
        const { authorization } = visit.headers;
        const error = {
          code: -32000,
          message: `refused: ${authorization}`,
          data: {
            headers: { authorization },
            list: [`x ${authorization}`, 7, null],
            untouched: { a: [1, '\u001b[1m'] },
          },
        };
        visit.response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id: visit.id, error }));
        return undefined;
      },
    ],
    [
      'an HTTP refusal',
      (visit) => refuse(visit, 418, { message: `refused: ${visit.headers.authorization}`, named: true }),
    ],
    [
      'a page',
      ({ response, headers }) =>
        void response.writeHead(500, { 'content-type': 'text/html' }).end(`<p>${headers.authorization}</p>`),
    ],
    [
      'something that is no JSON',
      ({ response, headers }) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end(`${headers.authorization}`),
    ],
  ];

  test.each(SHAPES)('that a server puts into %s reaches no caller', async (_, answer) => {
    const server = await kept(
      startScripted(
        modern(
          () => [tool('do')],
          (visit) => (visit.rpc === 'tools/call' ? answer(visit) : undefined),
        ),
      ),
    );
    const headers = { Authorization: `Bearer ${KEY}` };
    const gateway = await openTried({ config: { mcpServers: { s: { url: server.url, headers } } } });

    const outcome = await ask(gateway.url, 'tools/call', { name: 's__do' });
    const status = await statusOf(gateway, 's');

    expect(outcome.error).toBeDefined();
    expect(JSON.stringify(outcome)).not.toMatch(/canary|quoted/);
    expect(JSON.stringify(status)).not.toMatch(/canary|quoted/);
    expect(gateway.log()).not.toMatch(/canary|quoted/);
  });

  test('is taken out of errors alone: the rest of the error, and results, are what the server sent', async () => {
    const entry = fixture('wedged-stdio.ts');
    const gateway = await openTried({ config: { mcpServers: { s: { ...entry, env: { ...entry.env, KEY } } } } });

    const refused = await ask(gateway.url, 'tools/call', { name: 's__refuse', arguments: { a: [1, '\u001b[1m'] } });

    expect(refused.error).toMatchObject({
      code: -32000,
      message: 'sent with [redacted]',
      data: { a: [1, '\u001b[1m'], env: [{ KEY: '[redacted]' }] },
    });
    expect(await callText(gateway.url, 's__tell')).toBe(KEY);
  });
});
