// One odd entry takes out itself alone, in the main file as in servers.d; any name is taken.
import { homedir } from 'node:os';
import { expect, test } from 'vitest';
import { problemsOf, told, valid, workspace } from './workspace.ts';

const bothWays = (servers: unknown) => [
  workspace({ 'mcp-gateway.json': { mcpServers: servers } }),
  workspace({ 'mcp-gateway.json': {}, 'servers.d/map.json': { mcpServers: servers } }),
];

test.each([
  [{ type: 'ws', url: 'ws://127.0.0.1:1/mcp' }, 'WebSocket is no transport of MCP'],
  [{ type: 'websocket' }, 'WebSocket is no transport of MCP'],
  [{ command: 'npx -y some-package' }, 'is one program, not a command line'],
  [{ command: ['npx', '-y'] }, 'must be a string: the program alone'],
  [{ command: 5 }, 'must be a string'],
  [{ comand: 'npx', args: ['x'] }, 'did you mean "command"?'],
  [{ url: 'nowhere' }, 'must be a complete http:// or https:// URL'],
  [{ command: '~other/bin/x' }, '~ stands for your own home alone'],
  [{}, 'the server needs a "command" to start or a "url" to reach'],
  ['npx', 'a server must be an object'],
  [null, 'a server must be an object'],
])('%j takes out itself alone: %s', (odd, reason) => {
  for (const { load } of bothWays({ odd, good: { command: 'g' } })) {
    const result = load();
    const { servers } = valid(result);

    expect(servers.map(({ name, problem }) => [name, problem === undefined])).toEqual([
      ['odd', false],
      ['good', true],
    ]);
    expect(servers[0]?.problem).toContain(reason);
    expect(problemsOf(result)).toMatchObject([{ severity: 'error', server: 'odd' }]);
  }
});

test('white space around a program or a URL is left out, and told', () => {
  for (const { load } of bothWays({ a: { command: 'npx ' }, b: { url: ' https://h/mcp ' } })) {
    const result = load();

    expect(valid(result).servers).toMatchObject([{ command: 'npx' }, { url: 'https://h/mcp' }]);
    expect(problemsOf(result).map(({ severity, message }) => `${severity}: ${message}`)).toEqual([
      'warning: the white space around it is left out',
      'warning: the white space around it is left out',
    ]);
  }
});

test('~ is the home of the user, in every path of an entry', () => {
  const servers = {
    a: { command: '~/bin/x', cwd: '~' },
    b: { url: 'https://h/', tls: { ca: '~/ca.pem' }, headers: { A: '${file:~/none}' } },
  };
  const { load } = workspace({ 'mcp-gateway.json': { mcpServers: servers } });

  const [a, b] = valid(load({ HOME: '/home/me' })).servers;

  expect(a).toMatchObject({ command: '/home/me/bin/x', cwd: '/home/me' });
  expect(b?.problem).toContain('the file /home/me/none does not exist');
  expect(valid(load()).servers[0]?.cwd).toBe(homedir());
});

test.each([
  'Framelink MCP for Figma',
  '@modelcontextprotocol/server-github',
  'github.com/user/repo',
  'Notizen (privat)',
  'ファイル',
  '👩‍💻 code',
  'a"b',
  '100%',
  'constructor',
  'n'.repeat(128),
])('%s is a name', (name) => {
  for (const { load } of bothWays({ [name]: { command: 'x', alias: 'al' } })) {
    const result = load();

    expect(valid(result).servers.map((server) => [server.name, server.problem])).toEqual([[name, undefined]]);
    expect(told(result)).toEqual([]);
  }
});

test.each(['', ' ', '.', '..', 'a\nb', 'a\u0000', 'a\u001b[31m', 'a\u202eb', '\ud800', 'n'.repeat(129)])(
  '%j is no name, which costs that entry alone',
  (name) => {
    for (const { load } of bothWays({ [name]: { command: 'x' }, good: { command: 'g' } })) {
      const result = load();

      expect(valid(result).servers.map((server) => server.name)).toEqual(['good']);
      expect(told(result)).toEqual([expect.stringContaining('the name of a server is 1 to 128 characters')]);
    }
  },
);

test('a name that says nothing as a prefix, and two that become one, are told to take an alias', () => {
  const { load } = workspace({
    'mcp-gateway.json': {
      mcpServers: { ファイル: { command: 'x' }, 'a b': { command: 'x' }, 'A.B': { command: 'x' } },
    },
  });

  expect(told(load())).toEqual([
    '["ファイル"]: its names begin with "______", which says nothing; give it an "alias" of at most 32 characters',
    '["A.B"]: its names begin with "A_B__", as those of "a b" do, and get a hash; give one of them another "alias"',
  ]);
});

test('a name that occurs twice in the main file counts once', () => {
  const { load } = workspace({
    'mcp-gateway.json':
      '{ "mcpServers": { "a": { "command": "1" }, "a": { "command": "2" }, "b": { "command": "3" } } }',
  });

  const result = load();

  expect(valid(result).servers.map(({ command }) => command)).toEqual(['1', '3']);
  expect(told(result)).toEqual([expect.stringContaining('mcpServers.a: the key occurs twice')]);
});

test('settings that are wrong still make the whole file invalid', () => {
  const { load } = workspace({ 'mcp-gateway.json': { listen: { port: 'x' }, mcpServers: { a: { command: 'x' } } } });

  expect(load().ok).toBe(false);
});
