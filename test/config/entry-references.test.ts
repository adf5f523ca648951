// References in a server's entry: what they become, whom a bad one takes out, and which values are secrets.
import { expect, test } from 'vitest';
import { formatProblem } from '../../src/config/problems.ts';
import { loadEntry, problemsOf, told, valid, workspace } from './workspace.ts';

const reveal = (values: Readonly<Record<string, { reveal(): string }>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.reveal()]));

function toldOf(entry: unknown): string[] {
  return told(workspace({ 'mcp-gateway.json': { mcpServers: { one: entry } } }).load({}));
}

test('references are resolved in every string of an entry', () => {
  const env = { CMD: 'node', ARG: 'a', VAL: 'v', DIR: '/srv', ALIAS: 'al', MS: '7s', DENY: 'd_*' };
  const server = loadEntry(
    {
      command: '${CMD}',
      args: ['${env:ARG}'],
      env: { X: '<${VAL}>' },
      cwd: '${DIR}',
      alias: '${ALIAS}',
      timeout: '${MS}',
      tools: { deny: ['${DENY}'] },
    },
    env,
  );

  expect(server).toMatchObject({
    command: 'node',
    args: ['a'],
    cwd: '/srv',
    alias: 'al',
    tools: { allow: ['*'], deny: ['d_*'] },
  });
  expect(server.timeouts.total).toBe(7000);
  expect(reveal(server.env)).toEqual({ X: '<v>' });
});

test.each([
  ['${open', 'the reference is not closed'],
  ['${input:token}', '${input:token} is asked for by VS Code'],
  ['${keychain:token}', 'references of the kind "keychain:" are not read here'],
  ['${{ secrets.TOKEN }}', 'secrets of Continue are not read here'],
  ['${workspaceFolder}/x', 'is a variable of an editor'],
])('another client’s reference %s takes out that server alone', (reference, message) => {
  const files = {
    'mcp-gateway.json': { mcpServers: { odd: { command: 'x', args: [reference] }, good: { command: 'y' } } },
  };

  const { servers } = valid(workspace(files).load());

  expect(servers.map((server) => [server.name, server.problem === undefined])).toEqual([
    ['odd', false],
    ['good', true],
  ]);
  expect(servers[0]?.problem).toContain(message);
});

test('an unset reference takes out that server alone, naming variable and place', () => {
  const { load, path } = workspace({
    'mcp-gateway.json':
      '{ "mcpServers": {\n  "a": { "url": "http://h/", "headers": { "X": "Bearer ${env:NOT_SET}" }, "tools": ["t"] },\n  "b": { "command": "x" } } }',
  });

  const result = load();
  const [a, b] = valid(result).servers;

  expect(a?.problem).toBe(`${path('mcp-gateway.json')}:2:56 the environment variable NOT_SET is not set; set it`);
  expect(b?.problem).toBeUndefined();
  expect(a?.headers).toEqual({});
  expect(a?.tools).toEqual({ allow: ['t'], deny: [] });
  expect(result).toMatchObject({
    warnings: [{ severity: 'error', server: 'a', path: 'mcpServers.a.headers.X', line: 2, column: 56 }],
  });
});

test('a default is suggested for a variable that is plainly no secret', () => {
  const unset = (entry: unknown) => toldOf(entry).join();
  const suggestion = 'or give a default';

  expect(unset({ command: 'x', args: ['${env:DATA_DIR}'] })).toContain('give a default: ${env:DATA_DIR:-default}');
  expect(unset({ command: 'x', env: { A: '${env:DATA_DIR}' } })).not.toContain(suggestion);
  expect(unset({ command: 'x', args: ['${env:API_TOKEN}'] })).not.toContain(suggestion);
  expect(unset({ command: 'x', args: ['${env:OPENAI_API_KEY}'] })).not.toContain(suggestion);
  expect(unset({ url: 'http://h/', headers: { X: '${env:ANY}' } })).not.toContain(suggestion);
});

test('a value that a reference made wrong takes out that server alone, and is not shown', () => {
  const { load } = workspace({
    'mcp-gateway.json': { mcpServers: { a: { url: '${URL}' }, b: { url: 'http://h/', headers: { X: '${H}' } } } },
  });

  const result = load({ URL: 'canary', H: 'canary\r\nX: y' });

  expect(valid(result).servers.map(({ problem }) => problem)).toEqual([
    expect.stringContaining('must be a complete http:// or https:// URL (the value comes from a reference)'),
    expect.stringContaining('contains a line break'),
  ]);
  expect(problemsOf(result).map(formatProblem).join('\n')).not.toContain('canary');
});

test('references of a disabled server are not read, in either spelling', () => {
  for (const off of [{ disabled: true }, { enabled: false }]) {
    const entry = { ...off, url: '${NOT_SET}', headers: { A: '${file:/nonexistent}', B: '${env:SET}' } };
    const server = loadEntry(entry, { SET: 'secret-value' });

    expect(server).toMatchObject({ disabled: true, display: '${NOT_SET}', secrets: [] });
    expect(server.problem).toBeUndefined();
    expect(toldOf(entry)).toEqual([]);
  }
});

test('a referenced file is looked for beside the file that names it', () => {
  const { load } = workspace({
    'mcp-gateway.json': { mcpServers: { a: { command: 'x', args: ['${file:t}'] } } },
    'servers.d/b.json': { command: 'x', args: ['${file:t}'] },
    t: 'main\n',
    'servers.d/t': 'dropped\n',
  });

  expect(valid(load()).servers.map(({ args }) => args)).toEqual([['main'], ['dropped']]);
});

test('the list of secrets has everything that must not come back, longest first', () => {
  const { secrets } = loadEntry(
    {
      url: 'https://u:url%2Dpassword@h/?key=query-value',
      headers: { Authorization: 'Bearer ${T}', 'X-Short': 'abc', 'X-Literal': 'literal-value' },
    },
    { T: 'token/value"1' },
  );

  expect(secrets).toEqual(
    expect.arrayContaining([
      'Bearer token/value"1',
      'token/value"1',
      'literal-value',
      'query-value',
      'url-password',
      'url%2Dpassword',
    ]),
  );
  expect(secrets).toEqual(expect.arrayContaining(['token/value\\"1', 'token%2Fvalue%221']));
  expect(secrets).not.toContain('abc');
  expect(secrets.map(({ length }) => length)).toEqual(secrets.map(({ length }) => length).sort((a, b) => b - a));
});

test('a credential counts without its scheme too', () => {
  const { secrets } = loadEntry({ url: 'http://h/', headers: { Authorization: 'Bearer literal-token' } });

  expect(secrets).toEqual(expect.arrayContaining(['Bearer literal-token', 'literal-token']));
});

test('secrets of a process are its environment and the values of its references', () => {
  const { secrets } = loadEntry(
    { command: 'x', args: ['${A}', '${B:-default-value}'], env: { K: 'in-env-1' } },
    { A: 'argument-1' },
  );

  expect([...secrets].sort()).toEqual(['argument-1', 'in-env-1']);
});
