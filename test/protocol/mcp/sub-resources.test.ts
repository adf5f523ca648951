// What a resource lies below: whole segments of its path, and never by a way out of it.
import { expect, test } from 'vitest';
import { resourcesAbove } from '../../../src/protocol/mcp/sub-resources.ts';

test('a resource lies below each segment of its path, with and without the slash, and below nothing else', () => {
  expect(resourcesAbove('dir://host/a/b?c=/d#/e')).toEqual([
    'dir://host',
    'dir://host/',
    'dir://host/a',
    'dir://host/a/',
  ]);
  expect(resourcesAbove('dir:///a/')).toEqual(['dir://', 'dir:///', 'dir:///a']);
  expect(resourcesAbove('urn:a')).toEqual([]);
});

test('a path that leads out of where it stands lies below nothing, and so does one that is too long or too deep', () => {
  for (const uri of ['x:///a/../b', 'x:///a/%2E%2e/b', 'x:///a/.', 'x:///a/..?b', `x:///a/${'b'.repeat(2_048)}`])
    expect(resourcesAbove(uri), uri).toEqual([]);
  expect(resourcesAbove(`x:///${'a/'.repeat(100)}`)).toEqual([]);
  expect(resourcesAbove('x:///a/...')).toContain('x:///a/');
});
