import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonText, oneLine, printable, table } from '../../src/cli/output.ts';

/** Everything that could steer a terminal or hide text: controls, ANSI and OSC 8 escapes, marks of direction, line separators. */
const STEERING = /[\p{Cc}\p{Cf}\u2028\u2029]/u;
const HOSTILE =
  '\u001b[31mred\u001b]8;;http://evil\u0007link\u001b]8;;\u0007\u202ereversed\u2066\u009b31m\u200b\r\nFAKE\u2028line\u{e0041}\u007f';

test('text for a terminal keeps line breaks and tabs, and nothing else that could steer it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(`${text}${HOSTILE}`).replaceAll(/[\n\t]/g, '')).not.toMatch(STEERING);
    }),
  );
  expect(printable('a\r\nb\tc')).toBe('a\nb\tc');
});

test('a field of one line cannot pretend to be two', () => {
  expect(oneLine(`${HOSTILE}\n\tmore`)).not.toMatch(STEERING);
});

test('JSON for a terminal is free of them too, and says the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = jsonText({ text, hostile: HOSTILE });
      expect(json).not.toMatch(STEERING);
      expect(JSON.parse(json)).toEqual({ text, hostile: HOSTILE });
    }),
  );
});

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
