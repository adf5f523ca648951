// Tables and cut lines, in the columns of a terminal.
import { expect, test } from 'vitest';
import { cut, table } from '../../src/cli/table.ts';

const HOSTILE =
  '\u001b[31mred\u001b]8;;http://evil\u0007link\u001b]8;;\u0007\u202ereversed\u2066\u009b31m\u200b\r\nFAKE\u2028line\u{e0041}\u007f';

test('a table lines up, leaves out empty columns, and has no space at the end of lines', () => {
  const text = table(
    ['NAME', 'EMPTY', 'STATE'],
    [
      ['a', '', 'ready'],
      ['longer', '', 'x'],
    ],
  );

  expect(text).toBe('NAME    STATE\na       ready\nlonger  x');
});

test('cells of a table stay in their line', () => {
  expect(table(['NAME', 'WHAT'], [['a\nb', `x${HOSTILE}`]]).split('\n')).toHaveLength(2);
});

test('wide characters take two places', () => {
  const lines = table(
    ['N', 'X'],
    [
      ['日本', 'x'],
      ['ab', 'y'],
    ],
  ).split('\n');

  expect(lines).toEqual(['N     X', '日本  x', 'ab    y']);
});

test.each([
  ['Chinese', '日本', 4],
  ['its punctuation', '、', 2],
  ['narrow katakana', 'ｱｲ', 2],
  ['a letter and its accent', 'e\u0301', 1],
  ['a flag, which is two characters', '🇩🇪', 2],
  ['a symbol shown as an emoji', '❤️', 2],
])('a table lines up beside %s', (_what, cell, columns) => {
  const header = `${'N'.padEnd(columns)}  X`;

  expect(table(['N', 'X'], [[cell, 'x']])).toBe(`${header}\n${cell}  x`);
});

test('what is cut is as wide as it may be, and no flag or accented letter is cut in two', () => {
  expect(cut('日本語の', 8)).toBe('日本語の');
  expect(cut('日本語の', 7)).toBe('日本語…');
  expect(cut('日本語の', 6)).toBe('日本…');
  expect(cut('🇩🇪🇫🇷🇮🇹', 5)).toBe('🇩🇪🇫🇷…');
  expect(cut('ae\u0301ioe\u0301', 4)).toBe('ae\u0301i…');
});

test.each([40, 80, 120])('a table fits %i columns by cutting the widest, but never the first', (limit) => {
  const name = 'everything__a_tool_of_a_long_name';
  const text = table(['TOOL', 'A', 'B'], [[name, 'short', 'long words '.repeat(30)]], limit);

  expect(text).toContain(name);
  expect(text).toContain('…');
  expect(text).toContain(limit === 40 ? 'A' : 'short');
  if (limit > 40) for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(limit);
});

test('what a column is called is cut only where nothing else is left to cut', () => {
  const header = ['NAME', 'SHARED BY', 'WHAT'];
  const rows = [['a', 'all', 'long words '.repeat(10)]];

  expect(table(header, rows, 30).split('\n')[0]).toBe('NAME  SHARED BY  WHAT');
  expect(table(header, rows, 20).split('\n')[0]).toBe('NAME  SHARE…  WHAT');
});
