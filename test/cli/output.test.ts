import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonText, oneLine, printable } from '../../src/cli/output.ts';

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
