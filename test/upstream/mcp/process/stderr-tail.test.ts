// The end of stderr without what a server wrote about a refused probe, and without anything else left out.
import { expect, test } from 'vitest';
import { StderrTail } from '../../../../src/upstream/mcp/process/stderr-tail.ts';

const WORD = 'server/discover';

function tailOf(pieces: readonly string[], secrets: readonly string[] = []): StderrTail {
  const tail = new StderrTail(secrets);
  for (const piece of pieces) tail.push(Buffer.from(piece));
  return tail;
}

test('from the piece that mentions it first to what has come by then; what was said before and after stays', () => {
  const tail = tailOf(['started\n', 'failed to validate:\n  a\n', 'it was server/discover\n  b\n', '  c\n']);

  tail.hideFrom(WORD);
  tail.push(Buffer.from('ready\n'));

  expect(tail.lines()).toEqual(['started', 'failed to validate:', '  a', 'ready']);
});

test('nothing where it is not mentioned', () => {
  const tail = tailOf(['started\n', 'no API key is set\n']);

  tail.hideFrom(WORD);

  expect(tail.lines()).toEqual(['started', 'no API key is set']);
});

test('whole lines go, so that no part of a secret that was cut at an edge is left', () => {
  const tail = tailOf(['one\nkey is hunter2-', 'long server/discover\nrest hunter2'], ['hunter2-long', 'hunter2-more']);

  tail.hideFrom(WORD);
  tail.push(Buffer.from('-more\ntwo\n'));

  expect(tail.lines()).toEqual(['one', 'two']);
});

test('what is hidden goes with what falls out of the end that is kept', () => {
  const tail = tailOf(['started\n', `${WORD}\n`]);
  tail.hideFrom(WORD);
  for (let at = 0; at < 2_000; at += 1) tail.push(Buffer.from(`line ${at} ${'x'.repeat(60)}\n`));

  const lines = tail.lines();

  expect(lines).toHaveLength(200);
  expect(lines.at(-1)).toContain('line 1999');
  expect(lines.join('\n')).not.toContain(WORD);
});
