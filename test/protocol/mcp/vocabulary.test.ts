// `_meta`: what of it is taken for the protocol's.
import { expect, test } from 'vitest';
import { progressTokenOf } from '../../../src/protocol/mcp/vocabulary.ts';

test.each([
  ['a', 'a'],
  ['', ''],
  [0, 0],
  ['x'.repeat(1_024), 'x'.repeat(1_024)],
  [1.5, undefined],
  [null, undefined],
  [['a'], undefined],
])('of the progress token %j, %j is taken', (progressToken, taken) => {
  expect(progressTokenOf({ progressToken })).toBe(taken);
});

test('a progress token of more than 1,024 characters is refused', () => {
  const progressToken = 'x'.repeat(1_025);

  expect(() => progressTokenOf({ progressToken })).toThrow(expect.objectContaining({ code: 'invalid_params' }));
});
