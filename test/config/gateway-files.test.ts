// Arguments that would give a server the gateway's own files, and variables that start more than a command shows.
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { problemsOf, valid, workspace } from './workspace.ts';

/** A configuration in a folder of its own below a parent, with state, files to serve, and a script beside the servers. */
function place(entry: (path: (name: string) => string) => object, env: NodeJS.ProcessEnv = {}) {
  const { path, write } = workspace({
    'conf/servers.d/script.sh': '',
    'conf/servers.d/parts/part.txt': '',
    'conf/files/README.txt': '',
    'conf/.mcp-gateway/audit/1.jsonl': '',
    'other/file.txt': '',
  });
  symlinkSync('..', path('other/up'));
  write('conf/mcp-gateway.json', { mcpServers: { good: { command: 'g' }, one: entry(path) } });
  const result = loadConfig(path('conf/mcp-gateway.json'), env);
  return { path, result, problem: () => valid(result).servers[1]?.problem };
}

test.each([
  ['the folder of the configuration', '.'],
  ['it by another spelling', './files/..'],
  ['its parent', '..'],
  ['everything', '/'],
  ['the state', '.mcp-gateway'],
  ['a folder inside of the state', '.mcp-gateway/audit'],
  ['servers.d', './servers.d/'],
  ['a folder inside of servers.d', 'servers.d/parts'],
  ['a link to the parent', '../other/up'],
  ['a value of a flag', '--root=.'],
  ['a volume of a container', '.:/work:ro'],
  ['a mount of a container', 'type=bind,src=.,dst=/work'],
  ['one of a list', '--roots=./files,..'],
  ['the home folder', '~'],
  ['a folder at home', '~/conf'],
])('a server that is given %s by its arguments is out alone', (_what, arg) => {
  const { problem, path, result } = place((at) => ({ command: 'x', args: ['-y', arg], env: { HOME: at('') } }));

  expect(problem()).toMatch(/conf\/mcp-gateway\.json:1:\d+ the directory that this argument names (holds|lies in) /);
  expect(problem()).toContain('"allowGatewayFiles": true');
  expect(valid(result).servers[0]?.problem).toBeUndefined();
  expect(problemsOf(result)).toHaveLength(1);
  expect(problemsOf(result)[0]).toMatchObject({ path: 'mcpServers.one.args[1]', file: path('conf/mcp-gateway.json') });
});

test.each([
  ['a folder of its own', './files'],
  ['a folder elsewhere', '../other'],
  ['a file, wherever it is', 'servers.d/script.sh'],
  ['the configuration as a file', 'mcp-gateway.json'],
  ['a file of the state', '.mcp-gateway/audit/1.jsonl'],
  ['what is not there', 'nowhere'],
  ['a package', '@modelcontextprotocol/server-filesystem'],
  ['a flag', '--yes'],
  ['nothing', ''],
  ['an address', 'https://example.com/'],
  ['a place inside of a container', 'type=bind,src=./files,dst=/'],
  ['a volume of its own', './files:/:ro'],
  ['what is no path at all', 'a\u0000b'],
  ['a text that is longer than paths', `${'a/'.repeat(100_000)}..`],
])('a server that is given %s is started', (_what, arg) => {
  expect(place(() => ({ command: 'x', args: [arg] })).problem()).toBeUndefined();
});

test('a URL of a file is the file', () => {
  const problem = (name: string) =>
    place((path) => ({ command: 'x', args: [pathToFileURL(path(name)).href] })).problem();

  expect(problem('conf')).toContain('holds the gateway');
  expect(problem('conf/files')).toBeUndefined();
});

test('arguments are relative to where the program runs', () => {
  const problem = (cwd: string) => place(() => ({ command: 'x', args: ['.'], cwd })).problem();

  expect(problem('files')).toBeUndefined();
  expect(problem('servers.d')).toContain('holds the folder of its servers');
});

test('the value of a reference is checked and not shown', () => {
  const { problem, result } = place(() => ({ command: 'x', args: ['${DIR}'] }), { DIR: '/./.' });

  expect(problem()).toContain('the directory that this argument names holds');
  expect(problemsOf(result).map(formatProblem).join()).not.toContain('/./.');
});

test('a state directory elsewhere counts, also before it is there', () => {
  const { load, path } = workspace({ 'conf/x': '', 'mcp-gateway.json': {} });
  const write = workspace({ 'mcp-gateway.json': { mcpServers: { a: { command: 'x', args: [path('state')] } } } });
  const problemWith = (state: string) =>
    valid(loadConfig(write.path('mcp-gateway.json'), {}, state)).servers[0]?.problem;

  expect(load().ok).toBe(true);
  expect(problemWith(path('elsewhere'))).toBeUndefined();
  expect(problemWith(path('state'))).toContain(`holds the gateway's state, ${path('state')}`);
  mkdirSync(path('state'));
  expect(problemWith(path('elsewhere'))).toBeUndefined();
  expect(problemWith(join(path('state'), 'below'))).toContain('holds the gateway');
});

test('servers.d counts before it is there', () => {
  const { load, path } = workspace({
    'mcp-gateway.json': { mcpServers: { a: { command: 'x', args: ['./servers.d'] } } },
  });

  expect(valid(load()).servers[0]?.problem).toContain(`holds the folder of its servers, ${path('servers.d')}`);
});

test('a folder to which a link of servers.d leads holds configuration', () => {
  const { load, path } = workspace({
    'mcp-gateway.json': { mcpServers: { a: { command: 'x', args: ['./linked'] } } },
    'linked/b.json': { command: 'b' },
    'servers.d/c.json': { command: 'c' },
  });
  const before = valid(load()).servers[0]?.problem;
  symlinkSync('../linked/b.json', path('servers.d/b.json'));

  expect(before).toBeUndefined();
  expect(valid(load()).servers[0]?.problem).toContain(`holds its configuration, ${path('linked/b.json')}`);
});

test('allowGatewayFiles lifts the refusal; a server that is switched off is not judged', () => {
  const allowed = place(() => ({ command: 'x', args: ['.'], allowGatewayFiles: true }));
  const off = place(() => ({ command: 'x', args: ['.'], disabled: true }));

  expect(problemsOf(allowed.result)).toEqual([]);
  expect(problemsOf(off.result)).toEqual([]);
});

test.each(['LD_PRELOAD', 'LD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES', 'NODE_OPTIONS', 'PYTHONSTARTUP', 'BASH_ENV'])(
  '%s in an entry is told with its place, and works',
  (name) => {
    const { result, path } = place(() => ({ command: 'x', env: { PORT: '1', [name]: 'canary' } }));
    const [problem, ...others] = problemsOf(result);

    expect(others).toEqual([]);
    expect(problem).toMatchObject({ severity: 'warning', path: `mcpServers.one.env.${name}`, line: 1 });
    expect(problem?.file).toBe(path('conf/mcp-gateway.json'));
    expect(problem?.message).toMatch(/^with this variable the program, and each that it starts, loads /);
    expect(formatProblem(problem!)).not.toContain('canary');
    expect(valid(result).servers[1]?.env[name]?.reveal()).toBe('canary');
  },
);
