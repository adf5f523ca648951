// servers.d: forms, order, and that a bad file takes out that server alone.
import { mkdirSync, symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formatProblem } from '../../src/config/problems.ts';
import { mkfifoSync } from './fifo.ts';
import { problemsOf, told, valid, workspace } from './workspace.ts';

const main = { 'mcp-gateway.json': { mcpServers: { main: { command: 'm' } } } };

test('a file holds one server, a map under mcpServers, or a bare map; files come in lexical order after the main file', () => {
  const { load, path } = workspace({
    ...main,
    'servers.d/20-map.json': { mcpServers: { z: { command: 'z' }, a: { url: 'http://a/' } } },
    'servers.d/10-one.json': { command: 'one', $schema: 'x' },
    'servers.d/30-bare.json': { y: { command: 'y' } },
    'servers.d/B.json': { command: 'b' },
  });

  const result = load();

  expect(told(result)).toEqual([]);
  expect(valid(result).servers.map(({ name }) => name)).toEqual(['main', '10-one', 'z', 'a', 'y', 'B']);
  expect(valid(result).files).toEqual(
    [
      'mcp-gateway.json',
      'servers.d/10-one.json',
      'servers.d/20-map.json',
      'servers.d/30-bare.json',
      'servers.d/B.json',
    ].map(path),
  );
});

test('each bad file is out alone, with its reason as the state of the server', () => {
  const { load, path, write } = workspace({
    ...main,
    'servers.d/syntax.json': '{ "command": "x", }}',
    'servers.d/shape.json': { command: 5 },
    'servers.d/list.json': [],
    'servers.d/empty.json': '',
    'servers.d/large.json': `{ "command": "${'x'.repeat(1024 * 1024)}" }`,
    'servers.d/good.json': { command: 'g' },
  });
  write('servers.d/text.json', Buffer.from([0xff]));
  symlinkSync('../nowhere.json', path('servers.d/link.json'));
  mkdirSync(path('servers.d/folder.json'));
  mkfifoSync(path('servers.d/pipe.json'));

  const result = load();
  const problemOf = (name: string) => valid(result).servers.find((server) => server.name === name)?.problem;

  expect(problemOf('main')).toBeUndefined();
  expect(problemOf('good')).toBeUndefined();
  expect(problemOf('syntax')).toContain('syntax.json:1:20 the file should end here');
  expect(problemOf('shape')).toContain('shape.json:1:12 must be a string');
  expect(problemOf('list')).toContain('must be an object: one server, or servers by name');
  expect(problemOf('empty')).toContain('the file is empty');
  expect(problemOf('large')).toContain('is larger than 1 MiB');
  expect(problemOf('text')).toContain('is not UTF-8');
  expect(problemOf('link')).toContain('is a symbolic link');
  expect(problemOf('folder')).toContain('is not a regular file');
  expect(problemOf('pipe')).toContain('is not a regular file');
  expect(valid(result).servers).toHaveLength(11);
  expect(new Set(problemsOf(result).map(({ severity, server }) => `${severity} ${server ?? ''}`))).toEqual(
    new Set(
      ['syntax', 'shape', 'list', 'empty', 'large', 'text', 'link', 'folder', 'pipe'].map((name) => `error ${name}`),
    ),
  );
});

test('a bad entry of a map leaves the others alone', () => {
  const { load } = workspace({
    ...main,
    'servers.d/map.json': { good: { command: 'x' }, bad: { url: 'nowhere' }, 'no\nname': { command: 'x' } },
  });

  const result = load();

  expect(valid(result).servers.map(({ name, problem }) => [name, problem === undefined])).toEqual([
    ['main', true],
    ['good', true],
    ['bad', false],
  ]);
  expect(told(result)).toEqual([
    expect.stringContaining('bad.url: must be a complete'),
    expect.stringContaining('["no\\nname"]: the name of a server is'),
  ]);
});

test('of two servers with one name the later is out, and both places are named', () => {
  const { load, path } = workspace({
    ...main,
    'servers.d/a.json': { dup: { command: '1' } },
    'servers.d/dup.json': { command: '2' },
    'servers.d/main.json': { command: '3' },
  });

  const result = load();

  expect(valid(result).servers.map(({ name, command }) => [name, command])).toEqual([
    ['main', 'm'],
    ['dup', '1'],
  ]);
  expect(problemsOf(result).map((problem) => formatProblem(problem).split('\n')[0])).toEqual([
    `${path('servers.d/dup.json')}:1:1 the name "dup" is taken by the server at ${path('servers.d/a.json')}:1:2; this one is left out`,
    `${path('servers.d/main.json')}:1:1 the name "main" is taken by the server at ${path('mcp-gateway.json')}:1:16; this one is left out`,
  ]);
});

test('a name that occurs twice in one file is out once', () => {
  const { load } = workspace({ ...main, 'servers.d/a.json': '{ "x": { "command": "1" },\n "x": { "command": "2" } }' });

  const result = load();

  expect(valid(result).servers.map(({ command }) => command)).toEqual(['m', '1']);
  expect(told(result)).toEqual([expect.stringContaining('x: the key occurs twice')]);
});

test('a key that occurs twice inside an entry takes out that server', () => {
  const { load } = workspace({
    ...main,
    'servers.d/a.json': '{ "x": { "command": "1", "command": "2" }, "y": { "command": "3" } }',
  });

  expect(valid(load()).servers.map(({ name, problem }) => [name, problem === undefined])).toEqual([
    ['main', true],
    ['x', false],
    ['y', true],
  ]);
});

test('a broken file whose name is taken is told, and hides nothing', () => {
  const { load } = workspace({ ...main, 'servers.d/main.json': '{' });

  const result = load();

  expect(valid(result).servers.map(({ name, problem }) => [name, problem])).toEqual([['main', undefined]]);
  expect(told(result).join()).toContain('closing brace');
});

test('a file whose name no server can have is told to be renamed', () => {
  const { load } = workspace({
    ...main,
    [`servers.d/${'n'.repeat(129)}.json`]: { command: 'x' },
    'servers.d/my server.json': { command: 'x' },
    'servers.d/o.map.json': { ok: { command: 'x' } },
  });

  const result = load();

  expect(valid(result).servers.map(({ name }) => name)).toEqual(['main', 'my server', 'ok']);
  expect(told(result)).toEqual([expect.stringContaining('rename the file')]);
});

test('settings in servers.d are ignored with a warning', () => {
  const { load } = workspace({
    ...main,
    'servers.d/a.json': { listen: { port: 1 }, mcpServers: { a: { command: 'x' } } },
  });

  const result = load();

  expect(valid(result).listen.port).toBe(7420);
  expect(told(result)).toEqual([
    'listen: ignored: "listen" (only servers are read here; settings of the gateway belong into the main file)',
  ]);
});

test('a map under a key that is nearly ours is told to be renamed', () => {
  const { load } = workspace({ ...main, 'servers.d/vs.json': { mcpServer: { a: { command: 'x' } } } });

  expect(valid(load()).servers.find(({ name }) => name === 'vs')?.problem).toContain('"mcpServers"');
});

test('other files are left alone, those that look like configuration with a warning', () => {
  const { load } = workspace({
    ...main,
    'servers.d/README.md': '#',
    'servers.d/.hidden.json': '{',
    'servers.d/a.json~': '{',
    'servers.d/b.yaml': 'a: b',
  });

  const result = load();

  expect(valid(result).servers).toHaveLength(1);
  expect(told(result)).toEqual([expect.stringContaining('not read: only names that end in .json are')]);
});

test('no more than a thousand files are read, and it is said', () => {
  const files = Object.fromEntries(
    Array.from({ length: 1001 }, (_, index) => [`servers.d/${String(index + 1000)}.json`, { command: 'x' }]),
  );
  const { load } = workspace({ 'mcp-gateway.json': {}, ...files });

  const result = load();

  expect(valid(result).servers).toHaveLength(1000);
  expect(
    problemsOf(result).some(
      ({ message, severity }) => severity === 'error' && message.includes('more than 1000 files'),
    ),
  ).toBe(true);
});

test('a servers.d that is no folder makes the configuration invalid, as nobody knows what it should hold', () => {
  const { load } = workspace({ ...main, 'servers.d': 'text' });

  expect(load().ok).toBe(false);
});

test('a missing servers.d is none at all', () => {
  expect(told(workspace(main).load())).toEqual([]);
});
