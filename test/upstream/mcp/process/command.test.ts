// The program of a server is found in PATH only, and an error says what to do if it is missing.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { resolveCommand } from '../../../../src/upstream/mcp/process/command.ts';

const root = mkdtempSync(join(tmpdir(), 'command-'));
afterAll(() => rmSync(root, { recursive: true }));

function program(path: string, mode = 0o755): string {
  const file = join(root, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, mode);
  return file;
}

const first = program('one/server');
program('two/server');
const plainText = program('three/server', 0o644);
mkdirSync(join(root, 'four/server'), { recursive: true });
const directories = (...names: string[]) => names.map((name) => join(root, name)).join(':');

test('the first program on PATH is taken', () => {
  expect(resolveCommand('server', { path: directories('none', 'one', 'two'), cwd: '/' })).toBe(first);
});

test('directories and files that cannot be executed are passed over while PATH has a better one', () => {
  expect(resolveCommand('server', { path: directories('three', 'four', 'one'), cwd: '/' })).toBe(first);
});

test('a command with a slash is relative to the working directory, and PATH does not matter', () => {
  expect(resolveCommand('./server', { path: directories('two'), cwd: join(root, 'one') })).toBe(first);
  expect(resolveCommand('one/server', { path: undefined, cwd: root })).toBe(first);
  expect(resolveCommand(first, { path: undefined, cwd: '/nowhere' })).toBe(first);
});

test('a link is followed for the check, but keeps its name, which some programs go by', () => {
  const link = join(root, 'one/alias');
  symlinkSync(first, link);

  expect(resolveCommand('alias', { path: directories('one'), cwd: '/' })).toBe(link);
});

test('a program that only lies in the working directory is not taken for a bare name', () => {
  for (const path of ['', ':', '.', 'one', '::.']) {
    expect(() => resolveCommand('server', { path, cwd: join(root, 'one') })).toThrow('PATH names no directory');
  }
});

test.for([
  ['a missing program', 'nothing', ['nothing', 'PATH', 'Install it']],
  ['a missing path', '/no/such/server', ['/no/such/server does not exist']],
  ['arguments in the command', 'npx -y server', ['"npx -y server"', '`args`']],
  ['a tilde', '~/bin/server', ['no shell', 'whole path']],
  ['a directory', join(root, 'four/server'), ['is not a file']],
  ['a file without permission', plainText, [`chmod +x ${plainText}`]],
  ['nothing at all', '', ['empty']],
  ['a NUL', 'ser\0ver', ['NUL']],
] as const)('%s is an error that says what to do', ([, command, words]) => {
  const attempt = () => resolveCommand(command, { path: directories('one', 'two'), cwd: '/' });

  expect(attempt).toThrow(expect.objectContaining({ code: 'upstream_unreachable' }));
  for (const word of words) expect(attempt).toThrow(word);
});

test('where a program was looked for is told to the operator alone', () => {
  const path = directories('one', 'two');
  const attempt = () => resolveCommand('nothing', { path, cwd: '/' });

  expect(attempt).toThrow(
    expect.objectContaining({ detail: `PATH is ${path}`, message: expect.not.stringContaining(root) as string }),
  );
});
