// One server's entry: spellings, paths, limits, what is shown, what is told of mistakes.
import { chmodSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatProblem } from '../../src/config/problems.ts';
import { size } from '../size.ts';
import { loadEntry, problemsOf, told, valid, workspace } from './workspace.ts';

const reveal = (values: Readonly<Record<string, { reveal(): string }>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.reveal()]));

function toldOf(entry: unknown, env: NodeJS.ProcessEnv = {}): string[] {
  return told(workspace({ 'mcp-gateway.json': { mcpServers: { one: entry } } }).load(env));
}

test.each(['http', 'streamable-http', 'streamableHttp', 'streamable_http', 'remote'])(
  '%s is streamable-http, as type and as transport',
  (type) => {
    expect(loadEntry({ type, url: 'http://h/mcp' }).transport).toBe('streamable-http');
    expect(loadEntry({ transport: type, serverUrl: 'http://h/mcp' })).toMatchObject({
      transport: 'streamable-http',
      url: 'http://h/mcp',
    });
  },
);

test('without a type a command is stdio and a URL is streamable-http', () => {
  expect(loadEntry({ command: 'x' }).transport).toBe('stdio');
  expect(loadEntry({ httpUrl: 'http://h/' }).transport).toBe('streamable-http');
});

test('an HTTP+SSE server is taken as it is', () => {
  const server = loadEntry({ type: 'sse', url: 'http://h/sse' });

  expect(server).toMatchObject({ transport: 'sse', url: 'http://h/sse' });
  expect(server.problem).toBeUndefined();
});

test('numbers and booleans become strings in env and args', () => {
  const server = loadEntry({ command: 'x', args: ['--port', 3000, true], env: { PORT: 3000, DEBUG: true } });

  expect(reveal(server.env)).toEqual({ PORT: '3000', DEBUG: 'true' });
  expect(server.args).toEqual(['--port', '3000', 'true']);
});

test('null, and an empty address, stand for what an entry does not have', () => {
  const one = loadEntry({ command: 'x', url: '', env: null, disabled: null });
  const two = loadEntry({ url: 'http://127.0.0.1:1/mcp', command: null, args: null });

  expect([one.transport, one.problem]).toEqual(['stdio', undefined]);
  expect([two.transport, two.problem]).toEqual(['streamable-http', undefined]);
});

test('the shape of a disabled server is still checked', () => {
  expect(toldOf({ disabled: true, command: 5 })).toEqual([expect.stringContaining('must be a string')]);
});

test('timeout sets the phases that are not named, and small numbers are seconds', () => {
  const plain = { start: 60_000, connect: 5000, firstByte: 30_000, idle: 60_000, ping: 30_000, total: 300_000 };

  expect(loadEntry({ url: 'https://h/' }).timeouts).toEqual(plain);
  expect(loadEntry({ command: 'x', timeout: 20 }).timeouts).toEqual({
    ...plain,
    firstByte: 20_000,
    idle: 20_000,
    total: 20_000,
  });
  expect(loadEntry({ command: 'x', timeout: 1000 }).timeouts.total).toBe(1000);
  expect(loadEntry({ command: 'x', timeout: '500ms' }).timeouts.total).toBe(500);
  expect(loadEntry({ command: 'x', timeout: 20, timeouts: { total: '60s', connect: 900 } }).timeouts).toEqual({
    ...plain,
    connect: 900,
    firstByte: 20_000,
    idle: 20_000,
    total: 60_000,
  });
});

test('a process may be silent for as long as its calls may take, where its entry does not limit that', () => {
  const silent = { firstByte: Infinity, idle: Infinity };

  expect(loadEntry({ command: 'x' }).timeouts).toMatchObject({ ...silent, ping: 30_000, total: 300_000 });
  expect(loadEntry({ command: 'x', timeouts: { idle: '5s', ping: '10m' } }).timeouts).toMatchObject({
    firstByte: Infinity,
    idle: 5_000,
    ping: 600_000,
  });
});

test.each([0, -5, '25h', 90_000_000])('a timeout of %j is refused', (timeout) => {
  expect(toldOf({ command: 'x', timeout })).toEqual(['mcpServers.one.timeout: must be from 1 ms to 24 h']);
});

test('paths are relative to the file that names them; the working directory is that of the main file', () => {
  const { directory, load, path } = workspace({
    'mcp-gateway.json': {},
    'servers.d/a.json': { command: './bin/a', args: ['./x'] },
    'servers.d/b.json': { command: 'node', cwd: '../data' },
    'servers.d/c.json': { command: './run', cwd: 'c' },
    'servers.d/d.json': { url: 'https://h/', tls: { ca: 'ca.pem', cert: '/abs/cert.pem', key: '../key.pem' } },
  });
  const [a, b, c, d] = valid(load()).servers;

  expect(a).toMatchObject({
    command: path('servers.d/bin/a'),
    cwd: directory,
    args: ['./x'],
  });
  expect(b).toMatchObject({ command: 'node', cwd: path('data') });
  expect(c).toMatchObject({ command: path('servers.d/c/run'), cwd: path('servers.d/c') });
  expect(d?.tls).toMatchObject({ ca: path('servers.d/ca.pem'), cert: '/abs/cert.pem', key: path('key.pem') });
});

test.each([
  [
    { command: 'npx', args: ['-y', 'a b', '--api-key', 'sk-1', '--token=abc', 'plain'] },
    'npx -y "a b" --api-key *** --token=*** plain',
  ],
  [
    { command: '${CMD}', args: ['--key', '${A}', '--token', '${B}', 'Authorization: x'] },
    '${CMD} --key ${A} --token ${B} "Authorization: x"',
  ],
  [
    { command: 'npx', args: ['mcp-remote', 'https://u:p@h/?k=v', '--header', 'Authorization: Bearer abc'] },
    'npx mcp-remote https://h/?k=*** --header "Authorization: ***"',
  ],
  [{ command: 'docker', args: ['-e', 'API_KEY=abc', '-e', 'MODE=fast'] }, 'docker -e API_KEY=*** -e MODE=fast'],
  [{ url: 'https://user:pass@h.example.com/mcp?key=abc&x=${Y}#frag' }, 'https://h.example.com/mcp?key=***&x=***'],
  [{ url: 'https://h/${PATH_PART}/mcp?bare' }, 'https://h/${PATH_PART}/mcp?***'],
])('%j is shown as %s', (entry, display) => {
  const env = { CMD: 'node', A: 'canary1', B: 'canary2', Y: 'canary3', PATH_PART: 'p' };

  expect(loadEntry(entry, env).display).toBe(display);
});

test('patterns have defaults, and a plain list means allow', () => {
  expect(loadEntry({ command: 'x', tools: ['a_*'], prompts: { deny: ['p'] } })).toMatchObject({
    tools: { allow: ['a_*'], deny: [] },
    prompts: { allow: ['*'], deny: ['p'] },
    resources: { allow: ['*'], deny: [] },
  });
  expect(loadEntry({ command: 'x', tools: { allow: [] } }).tools).toEqual({ allow: [], deny: [] });
});

test('unknown keys inside an entry warn, at any depth', () => {
  const result = toldOf({
    command: 'x',
    alwaysAllow: [],
    comand: 1,
    envFile: '.env',
    timeouts: { totl: 5 },
    tools: { alow: [] },
  });

  expect(result).toEqual([
    'mcpServers.one.alwaysAllow: ignored: "alwaysAllow" (settings of a client)',
    'mcpServers.one.comand: unknown key, ignored; did you mean "command"?',
    'mcpServers.one.envFile: ignored: the file is not read; use "env" with references such as ${file:path}',
    'mcpServers.one.timeouts.totl: unknown key, ignored; did you mean "total"?',
    'mcpServers.one.tools.alow: unknown key, ignored; did you mean "allow"?',
  ]);
});

test('keys without effect warn', () => {
  expect(toldOf({ command: 'x', headers: {} })).toEqual([
    'mcpServers.one.headers: has no effect: the server is a process',
  ]);
  expect(toldOf({ url: 'http://h/', env: {} })).toEqual([
    'mcpServers.one.env: has no effect: the server is reached over HTTP',
  ]);
});

test('headers that the gateway sets itself are left out with a warning', () => {
  const entry = { url: 'http://h/', headers: { Accept: 'application/json', 'X-A': 'b' } };

  expect(reveal(loadEntry(entry).headers)).toEqual({ 'X-A': 'b' });
  expect(toldOf(entry)).toEqual(['mcpServers.one.headers.Accept: ignored: the gateway sets this header itself']);
});

test.each([
  [{ command: ['npx', '-y'] }, 'must be a string: the program alone; its arguments go into "args"'],
  [{ command: '' }, 'the server needs a "command" to start'],
  [{ command: 'node server.js' }, 'write "command": "node", "args": ["server.js"]'],
  [{ command: 'x', cwd: '~other/x' }, '~ stands for your own home alone'],
  [{ command: 'x', env: 'A=b' }, 'must be an object such as { "NAME": "value" }'],
  [{ command: 'x', env: { A: null } }, 'must be a string, a number or a boolean'],
  [{ command: 'x', env: { 'A=B': 'c' } }, 'is not a name of an environment variable'],
  [{ command: 'x', env: { A: 'b\0c' } }, 'contains a NUL character'],
  [{ command: 'x', type: 'http' }, 'a server with a "command" is of type "stdio"'],
  [{ url: 'http://h/', type: 'stdio' }, 'a server of type "stdio" needs a "command"'],
  [{ url: 'http://h/', type: 'http', transport: 'sse' }, '"type" and "transport" mean the same and differ'],
  [{ url: 'http://h/', serverUrl: 'http://i/' }, 'mean the same and differ'],
  [{ url: 'h/mcp' }, 'must be a complete http:// or https:// URL'],
  [{ url: 'ftp://h/mcp' }, 'must be a complete http:// or https:// URL'],
  [{ url: 'http://h/', headers: { 'a b': 'c' } }, 'is not a header name'],
  [{ url: 'http://h/', headers: { a: 'c', A: 'd' } }, 'is the same header as "a"'],
  [{ url: 'http://h/', headers: { a: 'c\nd' } }, 'contains a line break'],
  [{ url: 'https://h/', tls: { cert: 'c.pem' } }, '"cert" and "key" go together'],
  [{ command: 'x', alias: 'a b' }, 'must be 1 to 32 characters'],
  [{ command: 'x', tools: 'a' }, 'must be an object { "allow": [...], "deny": [...] } or a list'],
  [{ command: 'x', tools: { allow: 'a' } }, 'must be a list, not a string'],
  [{ command: 'x', disabled: 'yes' }, 'must be a boolean, not a string'],
  [{}, 'the server needs a "command" to start or a "url" to reach'],
])('%j takes the server out: %s', (entry, reason) => {
  const result = workspace({ 'mcp-gateway.json': { mcpServers: { one: entry } } }).load();

  expect(valid(result).servers[0]?.problem).toBeDefined();
  expect(told(result).join('\n')).toContain(reason);
});

test('a program whose path has spaces is no command line', () => {
  const { load, write, path } = workspace({ 'my tools/run server': '#!/bin/sh\n' });
  chmodSync(path('my tools/run server'), 0o755);
  write('mcp-gateway.json', { mcpServers: { a: { command: path('my tools/run server') } } });

  expect(valid(load()).servers[0]?.command).toBe(path('my tools/run server'));
});

test('the same URL under two spellings is no fault', () => {
  expect(loadEntry({ url: 'http://h/', httpUrl: 'http://h/' }).url).toBe('http://h/');
});

test('whatever an entry holds, loading tells it and does not throw', () => {
  const { load, write } = workspace({ 'mcp-gateway.json': {} });
  const text = fc.constantFrom(
    '',
    'x',
    '${A}',
    '${NO}',
    '${',
    '~/x',
    'a b',
    'http://h/?k=v',
    '__proto__',
    'sse',
    'stdio',
    '5s',
    '\0',
  );
  const value = fc.oneof(text, fc.jsonValue({ maxDepth: 2 }), fc.array(text), fc.dictionary(text, text));
  const keys = [
    'command',
    'args',
    'env',
    'cwd',
    'url',
    'httpUrl',
    'headers',
    'type',
    'transport',
    'alias',
    'disabled',
    'enabled',
    'timeout',
    'timeouts',
    'tools',
    'tls',
    'unknown',
  ];
  const entry = fc.dictionary(fc.constantFrom(...keys), value);

  fc.assert(
    fc.property(fc.oneof(entry, fc.jsonValue()), (one) => {
      write('mcp-gateway.json', { mcpServers: { one } });
      write('servers.d/two.json', { two: one });
      const result = load({ A: 'resolved' });
      expect(problemsOf(result).map(formatProblem).join('')).not.toContain('resolved');
      const server = result.ok ? result.config.servers.find(({ name }) => name === 'two') : undefined;
      if (server?.problem === undefined && server?.disabled === false)
        expect(server.url ?? server.command).toBeTruthy();
    }),
    { numRuns: size(100, 3_000) },
  );
});

test('it is kept where each pattern stands, also where a plain list means what is allowed', () => {
  const { load, path } = workspace({
    'mcp-gateway.json': `{ "mcpServers": { "one": {
  "command": "x",
  "tools": { "deny": ["a", "b*"] },
  "prompts": ["c"]
} } }`,
  });

  expect(valid(load()).servers[0]?.places).toEqual({
    'tools.deny': `${path('mcp-gateway.json')}:3:14`,
    'tools.deny.0': `${path('mcp-gateway.json')}:3:23`,
    'tools.deny.1': `${path('mcp-gateway.json')}:3:28`,
    'prompts.allow': `${path('mcp-gateway.json')}:4:3`,
    'prompts.allow.0': `${path('mcp-gateway.json')}:4:15`,
  });
});
