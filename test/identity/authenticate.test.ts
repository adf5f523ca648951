// Bearer tokens: each leads to its own principal, nothing else leads to any.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GatewayError } from '../../src/core/errors.ts';
import { LOCAL } from '../../src/core/principal.ts';
import { Secret } from '../../src/core/secret.ts';
import { compileAuthentication } from '../../src/identity/authenticate.ts';

const entry = (id: string, token: string, groups: string[] = []) => ({ id, token: new Secret(token), groups });
const authenticate = compileAuthentication([entry('alice', 'token-a', ['people']), entry('bob', 'token-b')]);

test('a token is its holder, with its groups and the name of the credential, and cannot be changed', () => {
  expect(authenticate('Bearer token-a')).toEqual({
    id: 'alice',
    kind: 'token',
    groups: ['people'],
    scopes: [],
    credential: 'token:alice',
  });
  expect(authenticate('bearer  token-b')).toMatchObject({ id: 'bob' });
  expect(Object.isFrozen(authenticate('Bearer token-a'))).toBe(true);
});

test('without tokens everybody is local, whatever is sent', () => {
  const open = compileAuthentication([]);

  expect(open(undefined)).toBe(LOCAL);
  expect(open('Bearer anything')).toBe(LOCAL);
});

test('nothing but the exact tokens is anybody, and the refusal does not repeat what was sent', () => {
  const header = fc.oneof(
    fc.constant(undefined),
    fc.string({ unit: 'binary' }),
    fc.string().map((token) => `Bearer ${token}`),
    fc.constantFrom(
      'Bearer',
      'Bearer ',
      'Bearer token',
      'Bearer token-a token-b',
      'Bearer token-a\n',
      'Basic token-a',
      'token-a',
      'Bearer TOKEN-A',
      `Bearer ${'x'.repeat(5_000)}`,
    ),
  );
  fc.assert(
    fc.property(header, (value) => {
      try {
        authenticate(value);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError);
        expect((error as GatewayError).code).toBe('unauthenticated');
        if (value !== undefined && value.length > 20)
          expect((error as GatewayError).message).not.toContain(value.slice(8));
      }
    }),
    { numRuns: 500 },
  );
});
