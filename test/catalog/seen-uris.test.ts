// URIs seen in results: what one server shows does nothing to what another showed.
import { expect, test } from 'vitest';
import { SeenUris } from '../../src/catalog/seen-uris.ts';

const links = (...uris: string[]) => ({ content: uris.map((uri) => ({ type: 'resource_link', uri, name: uri })) });

test('a server can neither push out nor take over what another one showed', () => {
  const seen = new SeenUris();
  seen.remember('alice', 'well', links('file:///a'));

  for (let round = 0; round < 20; round++)
    seen.remember('alice', 'evil', links(...Array.from({ length: 500 }, (_, index) => `evil:${round}.${index}`)));
  seen.remember('alice', 'evil', links('file:///a'));

  expect(seen.serverOf('alice', 'file:///a')).toBe('well');
  expect(seen.serverOf('alice', 'evil:19.499')).toBe('evil');
  expect(seen.serverOf('alice', 'evil:0.0')).toBeUndefined();
  expect(seen.serverOf('bob', 'file:///a')).toBeUndefined();
});

test('of one server the URIs shown last are remembered, also where they were shown before', () => {
  const seen = new SeenUris();
  const many = (from: number) => Array.from({ length: 250 }, (_, index) => `u:${from + index}`);

  for (const from of [0, 250]) seen.remember('alice', 's', links(...many(from)));
  seen.remember('alice', 's', links('u:0', 'u:1000', 'x'.repeat(4_000)));

  expect(seen.serverOf('alice', 'u:0')).toBe('s');
  expect(seen.serverOf('alice', 'u:1')).toBeUndefined();
  expect(seen.serverOf('alice', 'u:1000')).toBe('s');
  expect(seen.serverOf('alice', 'x'.repeat(4_000))).toBeUndefined();
});
