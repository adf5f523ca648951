// What is sealed opens with its key and its binding, and with nothing else.
import { randomBytes, randomInt } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal, unseal } from '../../../src/protocol/mcp/sealed-state.ts';

const key = () => ({ id: randomBytes(6).toString('base64url'), key: randomBytes(32) });
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\u0000é';
const TEXT = '{"until":1,"upstream":"the server’s own"}';

test('a text opens with the key and binding that it was sealed with', () => {
  const [old, present] = [key(), key()];
  const sealed = seal(TEXT, 'alice', old);

  expect(unseal(sealed, 'alice', [present, old])).toBe(TEXT);
  expect(unseal(seal('', 'alice', old), 'alice', [old])).toBe('');
  expect(unseal(seal('x'.repeat(70_000), 'alice', old), 'alice', [old])).toHaveLength(70_000);
});

test('nothing of a text can be read, and the same text never looks the same twice', () => {
  const one = key();
  const [first, second] = [seal(TEXT, 'alice', one), seal(TEXT, 'alice', one)];

  expect(first).not.toBe(second);
  expect(Buffer.from(first.slice(first.indexOf('.') + 1), 'base64url').toString('latin1')).not.toContain('until');
});

test('another key, another key of the same name and another binding do not open it', () => {
  const one = key();
  const sealed = seal(TEXT, 'alice', one);

  expect(unseal(sealed, 'bob', [one])).toBeUndefined();
  expect(unseal(sealed, '', [one])).toBeUndefined();
  expect(unseal(sealed, 'alice', [])).toBeUndefined();
  expect(unseal(sealed, 'alice', [key()])).toBeUndefined();
  expect(unseal(sealed, 'alice', [{ id: one.id, key: randomBytes(32) }])).toBeUndefined();
});

test('every single character matters', () => {
  const one = key();
  const sealed = seal('short', 'alice', one);

  for (let at = 0; at < sealed.length; at++) {
    for (const other of ALPHABET) {
      if (other === sealed[at]) continue;
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
      expect(unseal(changed, 'alice', [one]), `${at} as ${JSON.stringify(other)}`).toBeUndefined();
    }
    expect(unseal(sealed.slice(0, at), 'alice', [one])).toBeUndefined();
    expect(unseal(sealed.slice(0, at) + sealed.slice(at + 1), 'alice', [one])).toBeUndefined();
  }
});

test('2,000 states that were cut, stretched, mixed and made up open nothing', () => {
  const one = key();
  const pick = (text: string) => text[randomInt(text.length)] ?? '';
  const mutations: ((sealed: string) => string)[] = [
    (sealed) => sealed.slice(0, randomInt(sealed.length)),
    (sealed) => sealed + pick(ALPHABET),
    (sealed) => pick(ALPHABET) + sealed,
    (sealed) => sealed + sealed,
    (sealed) => Buffer.from(sealed).reverse().toString(),
    (sealed) => `${one.id}.${randomBytes(randomInt(80)).toString('base64url')}`.slice(0, sealed.length),
    (sealed) => sealed.slice(0, 30) + seal(TEXT, 'alice', one).slice(30),
    (sealed) => {
      const at = randomInt(sealed.length);
      return sealed.slice(0, at) + pick(ALPHABET) + pick(ALPHABET) + sealed.slice(at);
    },
  ];

  for (let run = 0; run < 2_000; run++) {
    const sealed = seal(TEXT, 'alice', one);
    const changed = mutations[run % mutations.length]?.(sealed) ?? '';
    if (changed !== sealed) expect(unseal(changed, 'alice', [one]), changed).toBeUndefined();
  }
});

test('whatever text and binding, it opens as it was with both, and with no other binding, key or byte', () => {
  const flip = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }));
  const text = fc.string({ unit: 'binary', maxLength: 200 }).filter((value) => value.isWellFormed());
  fc.assert(
    fc.property(fc.tuple(text, text, text), flip, ([inside, binding, other], [at, bits]) => {
      const [own, foreign] = [key(), key()];
      const sealed = seal(inside, binding, own);
      const dot = sealed.indexOf('.');
      const bytes = Buffer.from(sealed.slice(dot + 1), 'base64url');
      bytes[at % bytes.length]! ^= bits;

      expect(unseal(sealed, binding, [foreign, own])).toBe(inside);
      if (other !== binding) expect(unseal(sealed, other, [own])).toBeUndefined();
      expect(unseal(sealed, binding, [foreign, { id: own.id, key: foreign.key }])).toBeUndefined();
      expect(unseal(`${sealed.slice(0, dot + 1)}${bytes.toString('base64url')}`, binding, [own])).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});
