// Which servers must be started, stopped or restarted after a change.
import { expect, test } from 'vitest';
import { diffServers } from '../../src/config/diff.ts';
import type { ServerConfig } from '../../src/config/config.ts';
import { valid, workspace } from './workspace.ts';

function serversOf(mcpServers: object, env: NodeJS.ProcessEnv = {}) {
  return valid(workspaceOf(mcpServers).load(env)).servers;
}

let place: ReturnType<typeof workspace> | undefined;

/** Both sides of a comparison stand in the same folder, as they do when a file is edited. */
function workspaceOf(mcpServers: object) {
  place ??= workspace();
  place.write('mcp-gateway.json', { mcpServers });
  return place;
}

function changes(before: object, after: object, env: [NodeJS.ProcessEnv, NodeJS.ProcessEnv] = [{}, {}]) {
  place = undefined;
  const { added, removed, changed } = diffServers(serversOf(before, env[0]), serversOf(after, env[1]));
  const names = (servers: readonly ServerConfig[]) => servers.map(({ name }) => name);
  return { added: names(added), removed: names(removed), changed: names(changed) };
}

const base = { command: 'a', args: ['1'], env: { K: 'v' } };

test('servers are sorted into added, removed and changed; the others are in none', () => {
  expect(changes({ a: base, b: base, c: base }, { b: base, c: { ...base, args: ['2'] }, d: base })).toEqual({
    added: ['d'],
    removed: ['a'],
    changed: ['c'],
  });
});

test.each([
  ['the value of a literal variable', { ...base, env: { K: 'w' } }],
  ['the command', { ...base, command: 'b' }],
  ['the working directory', { ...base, cwd: 'x' }],
  ['a time limit', { ...base, timeouts: { start: '1s' } }],
  ['being disabled', { ...base, disabled: true }],
  ['another transport', { url: 'http://h/' }],
])('%s asks for a restart', (_what, after) => {
  expect(changes({ a: base }, { a: after }).changed).toEqual(['a']);
});

test.each([
  ['patterns', { ...base, tools: { deny: ['x'] }, prompts: ['a'], resources: { allow: [] } }],
  ['keys of clients', { ...base, alwaysAllow: ['x'] }],
  ['the spelling of the type', { ...base, type: 'stdio' }],
])('%s ask for none', (_what, after) => {
  expect(changes({ a: base }, { a: after })).toEqual({ added: [], removed: [], changed: [] });
});

test('another value of a referenced variable asks for a restart', () => {
  const entry = { url: 'http://h/', headers: { Authorization: 'Bearer ${T}' } };

  expect(changes({ a: entry }, { a: entry }, [{ T: 'one' }, { T: 'two' }]).changed).toEqual(['a']);
  expect(changes({ a: entry }, { a: entry }, [{ T: 'one' }, { T: 'one' }]).changed).toEqual([]);
});

test('a reference that is no longer set asks for a restart', () => {
  const entry = { url: 'http://h/${T}' };

  expect(changes({ a: entry }, { a: entry }, [{ T: 'one' }, {}]).changed).toEqual(['a']);
});
