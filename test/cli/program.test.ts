// The name of the program in hints: a command line that the user can type again.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hint, programOf } from '../../src/cli/program.ts';

const CLONE = join(import.meta.dirname, '../..');
const ENTRY = join(CLONE, 'dist/cli/bin.js');
const LINK = join(CLONE, 'node_modules/.bin/mcp-gateway');
const SHELL = { PATH: '/usr/local/bin:/usr/bin' };
const NPX = { PATH: `${join(CLONE, 'node_modules/.bin')}:/usr/bin`, npm_command: 'exec', npm_lifecycle_event: 'npx' };
const START = { PATH: NPX.PATH, npm_command: 'start', npm_lifecycle_event: 'start' };

test.each([
  ['npx in the clone', { argv: [LINK], cwd: CLONE, env: NPX }, 'npx mcp-gateway'],
  ['npm start, whose Node the shell need not have', { argv: [ENTRY], cwd: CLONE, env: START }, 'npx mcp-gateway'],
  ['the built file', { argv: [ENTRY], cwd: CLONE, env: SHELL }, 'node dist/cli/bin.js'],
  ['the built file, from elsewhere', { argv: [ENTRY], cwd: '/', env: SHELL }, `node ${ENTRY}`],
  ['the built file, from elsewhere below npm', { argv: [ENTRY], cwd: '/', env: NPX }, `node ${ENTRY}`],
  ['the link itself', { argv: [LINK], cwd: CLONE, env: SHELL }, 'node_modules/.bin/mcp-gateway'],
  ['a global one', { argv: ['/usr/local/bin/mcp-gateway'], cwd: '/', env: SHELL }, 'mcp-gateway'],
  [
    'a global one that is not in the PATH',
    { argv: ['/opt/my gw/mcp-gateway'], cwd: '/', env: SHELL },
    "'/opt/my gw/mcp-gateway'",
  ],
])('%s', (_, start, called) => {
  expect(programOf({ argv0: 'node', ...start })).toBe(called);
});

test('a hint leads to the same gateway: it keeps the flags that say which', () => {
  const args = ['serve', '--config', 'my dir/c.json', '--port', '0', '--state=/s'];

  expect(hint('servers', { argv0: 'node', argv: ['/usr/local/bin/mcp-gateway', ...args], cwd: '/', env: SHELL })).toBe(
    "mcp-gateway servers --config 'my dir/c.json' --state=/s",
  );
});
