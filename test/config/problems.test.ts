// How problems are said.
import { expect, test } from 'vitest';
import { formatPath, formatProblem, nearest } from '../../src/config/problems.ts';

test('a problem reads file:line:column path message, with its line and caret below', () => {
  const text = formatProblem({
    severity: 'error',
    file: '/a.json',
    line: 3,
    column: 5,
    path: 'listen.prot',
    message: 'unknown key',
    excerpt: '"prot": 1\n^',
  });

  expect(text).toBe('/a.json:3:5 listen.prot unknown key\n  "prot": 1\n  ^');
});

test('a warning says that it is one', () => {
  expect(formatProblem({ severity: 'warning', file: '/a.json', line: 1, column: 1, path: '', message: 'odd' })).toBe(
    '/a.json:1:1 warning: odd',
  );
});

test('control characters of a file do not reach the terminal', () => {
  const text = formatProblem({
    severity: 'error',
    file: '/a.json',
    line: 1,
    column: 1,
    path: 'x',
    message: 'a\u001b[31m\u202eb',
    excerpt: '\u0007\n^',
  });

  expect(text).not.toMatch(/[\u001b\u202e\u0007]/);
});

test('paths quote keys that are no words', () => {
  expect(formatPath(['auth', 'tokens', 0, 'token'])).toBe('auth.tokens[0].token');
  expect(formatPath(['mcpServers', 'my server', 'env'])).toBe('mcpServers["my server"].env');
});

test('a suggestion is made for a slip and not for another word', () => {
  const known = ['command', 'url', 'headers', 'timeouts'];

  expect(nearest('comand', known)).toBe('command');
  expect(nearest('urll', known)).toBe('url');
  expect(nearest('Headers', known)).toBe('headers');
  expect(nearest('ulr', known)).toBe('url');
  expect(nearest('description', known)).toBeUndefined();
});
