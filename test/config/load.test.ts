// The main file: settings, tokens, what makes it invalid as a whole.
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { problemsOf, told, valid, workspace } from './workspace.ts';

const fixture = (name: string) => join(import.meta.dirname, '../../fixtures/config', name);
const TOKEN = 'ci-token-0123456789';

test('the least configuration has every default', () => {
  const config = valid(loadConfig(fixture('good/minimal.json'), {}));

  expect(config).toMatchObject({
    file: fixture('good/minimal.json'),
    directory: fixture('good'),
    listen: { host: '127.0.0.1', port: 7420, allowedHosts: [], allowedOrigins: [] },
    auth: { tokens: [] },
    audit: { on_failure: 'refuse', durability: 'process', level: 'shape' },
    limits: { body: 4 * 2 ** 20, depth: 64, upstreamMessage: 16 * 2 ** 20, sessions: 10_000 },
    servers: [],
    files: [fixture('good/minimal.json')],
  });
});

test('a full configuration is read', () => {
  const result = loadConfig(fixture('good/full.json'), { GITHUB_TOKEN: 'gh-secret', CI_TOKEN: TOKEN });
  const config = valid(result);

  expect(told(result)).toEqual([]);
  expect(config.limits).toEqual({ body: 2 ** 20, depth: 32, items: 50_000, upstreamMessage: 1_048_576, sessions: 100 });
  expect(config.auth.tokens.map(({ id, token, groups }) => [id, token.reveal(), groups])).toEqual([
    ['ci', TOKEN, ['robots']],
  ]);
  expect(config.servers.map(({ name, alias, cwd }) => [name, alias, cwd])).toEqual([
    ['files', 'fs', fixture('good/data')],
    ['github', 'github', fixture('good')],
  ]);
  expect(config.servers[1]?.tls).toEqual({
    ca: fixture('good/certs/ca.pem'),
    rejectUnauthorized: true,
    servername: 'github.example.com',
  });
});

test('the configuration is frozen all the way down', () => {
  const config = valid(loadConfig(fixture('good/full.json'), { GITHUB_TOKEN: 'x', CI_TOKEN: TOKEN }));

  expect(() => Object.assign(config.servers[0]!.env, { A: 1 })).toThrow(TypeError);
  expect(() => Object.assign(config.limits, { body: 1 })).toThrow(TypeError);
  expect(() => (config.servers as unknown[]).push(1)).toThrow(TypeError);
});

test('no serializer gets a secret out of a configuration', () => {
  const { load } = workspace({
    'mcp-gateway.json': {
      auth: { tokens: [{ id: 'a', token: '${T}' }] },
      mcpServers: {
        a: { command: 'x', env: { K: 'literal-canary' } },
        b: { url: 'http://h/', headers: { K: '${H}' } },
      },
    },
  });
  const config = valid(load({ T: 'token-canary-0123', H: 'header-canary' }));
  const servers = config.servers.map((server) => ({ ...server, secrets: [] }));

  expect(JSON.stringify({ ...config, servers })).not.toContain('canary');
  expect(inspect({ ...config, servers }, { depth: 9 })).not.toContain('canary');
});

test('all mistakes come at once, each with place, path and advice', () => {
  const result = loadConfig(fixture('bad/many-mistakes.json'), {});
  const lines = problemsOf(result).map((problem) =>
    formatProblem(problem).split('\n')[0]!.replace(fixture('bad/many-mistakes.json'), 'F'),
  );

  expect(result.ok).toBe(false);
  expect(lines).toEqual([
    'F:2:3 lissten unknown key; did you mean "listen"?',
    'F:3:15 listen.prot unknown key; did you mean "port"?',
    'F:3:34 listen.host must be a string, not a number',
    'F:3:45 listen.port must be at most 65535',
    'F:3:71 listen.allowedOrigins[0] must be one origin such as "https://app.example.com", without a path',
    'F:14:23 limits.body must be a number of bytes or a size such as "512KiB" or "4MiB"',
    'F:14:30 limits.sesions unknown key; did you mean "sessions"?',
    'F:15:28 audit.durability must be "process", the only value offered',
    'F:16:24 auth.tokens[0].token "token" is required',
    'F:5:26 mcpServers.line.command is one program, not a command line; write "command": "npx", "args": ["-y","foo"]',
    'F:6:33 mcpServers.both.url an entry has either a "command" or a URL, not both; make two entries of it',
    'F:7:18 mcpServers.neither.urll unknown key; did you mean "url"? The server needs a "command" or a "url"',
    'F:8:33 mcpServers.list.env must be an object such as { "NAME": "value" }',
    'F:8:70 mcpServers.list.args must be a list such as ["-y", "some-package"]',
    'F:9:23 mcpServers.kind.type must be one of "stdio", "local", "http", "streamable-http", "streamableHttp", "streamable_http", "remote", "sse"; did you mean "stdio"?',
    'F:10:56 mcpServers.slow.timeouts.total must be a number of milliseconds or a duration such as "500ms", "60s" or "5m"',
    'F:11:5 mcpServers["not\\na name"] the name of a server is 1 to 128 characters, without line breaks and other control characters, and not "." or ".."; this one is left out',
    'F:12:13 mcpServers.text a server must be an object such as { "command": "npx", "args": [...] }',
  ]);
});

test('mistakes of servers.d are told together with those of the main file', () => {
  const { load } = workspace({ 'mcp-gateway.json': { listen: { prot: 1 } }, 'servers.d/a.json': { command: 5 } });

  expect(told(load())).toEqual([
    'listen.prot: unknown key; did you mean "port"?',
    expect.stringContaining('command: must be a string'),
  ]);
});

test.each([
  ['bad/syntax.json', 'a comma is expected here'],
  ['bad/unclosed-secret.json', 'the string is not closed'],
])('%s is refused: %s', (name, reason) => {
  const result = loadConfig(fixture(name), {});

  expect(result.ok).toBe(false);
  expect(told(result).join('\n')).toContain(reason);
  expect(problemsOf(result).map(formatProblem).join('\n')).not.toContain('hunter2');
});

test.each([
  [[], 'must be an object, not a list'],
  ['text', 'must be an object, not a string'],
  [{ mcpServers: 'x' }, 'must be an object of servers by name'],
  [{ servers: ['x'] }, 'the servers stand under "mcpServers": rename the key'],
  [{ mcpServers: null }, 'must be an object of servers by name'],
  [{ github: { command: 'npx' } }, 'servers stand under "mcpServers": move it there'],
  [{ limits: { body: '2GiB' } }, 'must be from 1024 bytes to 1024 MiB'],
  [{ limits: { body: 1.5 } }, 'must be a number of bytes'],
  [{ listen: { host: 'http://x' } }, 'without port or brackets'],
  [
    { listen: { trustedProxies: ['10.0.0.0/8', '10.0.0.0/33'] } },
    'listen.trustedProxies[1]: must be an IP address or a block',
  ],
  [{ listen: { trustedProxies: ['proxy.example'] } }, 'must be an IP address or a block'],
  [{ listen: { host: '${HOST}' } }, 'references are read only inside'],
  [{ auth: { tokens: [{ id: 'local', token: TOKEN }] } }, 'not "local"'],
  [{ auth: { tokens: [{ id: 'a', token: '' }] } }, 'must be a bearer token'],
  [{ auth: { tokens: [{ id: 'a', token: '${NOT_SET}' }] } }, 'NOT_SET is not set'],
  [{ auth: { tokens: [{ id: 'a', token: '${open' }] } }, 'not closed'],
  [
    {
      auth: {
        tokens: [
          { id: 'a', token: `${TOKEN}1` },
          { id: 'a', token: TOKEN },
        ],
      },
    },
    'another token has the same id',
  ],
  [
    {
      auth: {
        tokens: [
          { id: 'a', token: TOKEN },
          { id: 'b', token: TOKEN },
        ],
      },
    },
    'is the same token as that of "a"',
  ],
])('%j is refused: %s', (content, reason) => {
  const { load } = workspace();
  const place = workspace({ 'mcp-gateway.json': JSON.stringify(content) });

  const result = place.load({ HOST: 'h' });

  expect(load().ok).toBe(false);
  expect(result.ok).toBe(false);
  expect(told(result).join('\n')).toContain(reason);
});

test('an unset token is one problem, not two', () => {
  const { load } = workspace({ 'mcp-gateway.json': { auth: { tokens: [{ id: 'a', token: '${NOT_SET}' }] } } });

  expect(told(load())).toEqual([
    expect.stringContaining('auth.tokens[0].token: the environment variable NOT_SET is not set'),
  ]);
});

test('a token in the file and a short token are warned of, and never shown', () => {
  const { load } = workspace({
    'mcp-gateway.json': {
      auth: {
        tokens: [
          { id: 'a', token: 'hunter2' },
          { id: 'b', token: '${B}' },
        ],
      },
    },
  });

  const result = load({ B: TOKEN });

  expect(told(result)).toEqual([
    expect.stringContaining('the token stands in the file'),
    expect.stringContaining('shorter than 16'),
  ]);
  expect(problemsOf(result).map(formatProblem).join('\n')).not.toContain('hunter2');
});

test('a bad value of a referenced token is not shown', () => {
  const { load } = workspace({ 'mcp-gateway.json': { auth: { tokens: [{ id: 'a', token: '${A}' }] } } });

  const result = load({ A: 'has spaces canary' });

  expect(result.ok).toBe(false);
  expect(problemsOf(result).map(formatProblem).join('\n')).not.toContain('canary');
});

test('a main file that is missing, a folder, or no text is refused with its name', () => {
  const { path, write } = workspace({ 'folder/x': '' });
  write('latin1.json', Buffer.from([0x7b, 0xe9, 0x7d]));

  expect(told(loadConfig(path('missing.json'), {}))).toEqual([': does not exist']);
  expect(told(loadConfig(path('folder'), {}))).toEqual([': is not a regular file']);
  expect(told(loadConfig(path('latin1.json'), {}))).toEqual([': is not UTF-8 text; save it as UTF-8']);
});

test('the hash follows the text of every file, not the values of references', () => {
  const { load, write } = workspace({
    'mcp-gateway.json': { mcpServers: { a: { command: '${A}' } } },
    'servers.d/b.json': { command: 'b' },
  });
  const hash = (env: NodeJS.ProcessEnv) => valid(load(env)).hash;

  const before = hash({ A: 'one' });

  expect(before).toMatch(/^[0-9a-f]{64}$/);
  expect(hash({ A: 'two' })).toBe(before);
  write('servers.d/b.json', { command: 'c' });
  expect(hash({ A: 'one' })).not.toBe(before);
});

test('every file that holds a secret of the configuration is named, also one that is not there', () => {
  const { load, path } = workspace({
    'mcp-gateway.json': {
      auth: { tokens: [{ id: 'ci', token: '${file:ci.token}' }] },
      mcpServers: {
        a: { command: 'a', env: { KEY: 'k-${file:missing.txt}' } },
        b: { url: 'https://b.example/mcp', tls: { cert: 'b.pem', key: 'b.key' } },
      },
    },
    'ci.token': 'a-token-that-is-long-enough',
    'servers.d/c.json': { command: 'c', args: ['${file:../c.txt}', '${file:ours.txt}'] },
    'servers.d/ours.txt': 'ours',
    'c.txt': 'c',
  });

  const names = ['ci.token', 'missing.txt', 'b.key', 'c.txt', 'servers.d/ours.txt'];
  expect(valid(load()).secretFiles).toEqual(names.map((name) => path(name)));
});

test('the hash is the same wherever the folder is', () => {
  const one = workspace({ 'mcp-gateway.json': '{}', 'servers.d/a.json': '{"command":"x"}' });
  const two = workspace();
  cpSync(one.directory, two.directory, { recursive: true });

  expect(valid(two.load()).hash).toBe(valid(one.load()).hash);
});

test('two servers of one alias are warned of', () => {
  const { load } = workspace({
    'mcp-gateway.json': { mcpServers: { a: { command: 'x' }, b: { command: 'x', alias: 'A' } } },
  });

  expect(told(load())).toEqual(['b: the alias "A" is also that of "a"; give one of them another "alias"']);
});

test('what clients write can be pasted unchanged', () => {
  const text = readFileSync(fixture('good/pasted-from-clients.json'), 'utf8');
  const { load } = workspace({ 'mcp-gateway.json': text });

  const result = load();

  expect(
    valid(result).servers.map(({ name, transport, disabled, problem }) => [
      name,
      transport,
      disabled,
      problem !== undefined,
    ]),
  ).toEqual([
    ['desktop', 'stdio', false, false],
    ['code', 'streamable-http', false, false],
    ['cursor', 'streamable-http', false, false],
    ['cline', 'streamable-http', false, false],
    ['windsurf', 'streamable-http', false, false],
    ['gemini', 'streamable-http', false, false],
    ['copilot', 'streamable-http', false, false],
    ['remote', 'streamable-http', true, false],
    ['underscore', 'streamable-http', false, false],
    ['legacy', 'sse', false, false],
  ]);
  expect(
    problemsOf(result)
      .filter(({ severity }) => severity === 'error')
      .map(({ server }) => server),
  ).toEqual([]);
});
