// Whose calls share an instance: what decides it, and what of a caller is declared to a server.
import { expect, test } from 'vitest';
import type { ClientSession } from '../../../../src/core/exchange.ts';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import type { ServerConfig } from '../../../../src/config/config.ts';
import { declarable } from '../../../../src/protocol/mcp/client-capabilities.ts';
import { type CallerFacts, ownerKeys, ownerOf } from '../../../../src/upstream/mcp/instances/affinity.ts';
import { Isolation } from '../../../../src/upstream/mcp/instances/isolation.ts';
import type { LearnedTrait, TraitStore } from '../../../../src/upstream/mcp/instances/trait-store.ts';

function isolationOf(isolation: ServerConfig['isolation'], known: LearnedTrait[] = []) {
  const store = {
    recall: () => known,
    remember: (_server: string, _digest: string, trait: LearnedTrait) => known.push(trait),
  };
  const config = { name: 's', digest: 'd', isolation, transport: 'stdio' } as ServerConfig;
  return { known, isolation: new Isolation(config, store as unknown as TraitStore) };
}

test('auto is shared until something is learned, once, with the reason; what was learned stays', () => {
  const { isolation, known } = isolationOf('auto');
  expect(isolation.sharing).toBe('shared');
  expect([isolation.remember('asks', 'it asked x'), isolation.remember('asks', 'it asked y')]).toEqual([true, false]);
  expect([isolation.sharing, isolation.asksAnonymously]).toEqual(['session', true]);
  expect(known.map(({ why }) => why)).toEqual(['it asked x']);
  expect(isolationOf('auto', known).isolation.sharing).toBe('session');
});

test('where the stream says whose a question is, calls need not run one at a time; a modern server needs no sessions', () => {
  const { isolation } = isolationOf('auto');
  isolation.remember('asks', 'it asked x');
  isolation.connected({ transport: 'streamable-http', era: 'legacy' });
  expect([isolation.sharing, isolation.asksAnonymously]).toEqual(['session', false]);
  isolation.connected({ transport: 'stdio', era: 'modern' });
  expect([isolation.sharing, isolation.asksAnonymously]).toEqual(['shared', false]);
});

test.each(['shared', 'session', 'principal'] as const)(
  '%s by configuration is that, whatever is learned',
  (configured) => {
    const { isolation } = isolationOf(configured);
    isolation.remember('stateful', 'it assigned a session id');
    expect(isolation.sharing).toBe(configured);
  },
);

test('principals who differ in what they can answer have owners of their own; no principal can be another’s session', () => {
  const caller = (id: string, capabilities: object): CallerFacts =>
    ({ principal: { id }, exchange: { capabilities, signal: new Cancellation() } }) as unknown as CallerFacts;
  const keys = [caller('a', {}), caller('a', { roots: {} }), caller('a {}', {}), caller('a', { experimental: {} })].map(
    (each) => ownerOf('session', each)?.key,
  );
  expect(new Set(keys).size).toBe(3);
  expect(keys[0]).toBe(keys[3]);
  expect([...ownerKeys(caller('a', {}))]).toEqual([keys[0]]);
  expect(ownerOf('shared', caller('a', {}))).toBeUndefined();
});

test('only what a server may ask is declared to it, and nothing that the caller did not declare', () => {
  expect(declarable({})).toEqual({});
  expect(
    declarable({ elicitation: {}, sampling: { tools: {}, odd: 1 }, roots: { listChanged: false }, tasks: {} }),
  ).toEqual({
    elicitation: {},
    sampling: { tools: {} },
    roots: {},
  });
});

test('calls of one session have one owner, and callers that declare nothing one declaration: neither is made for each call', () => {
  const capabilities = { elicitation: {} };
  const session = { key: 'session-1' } as unknown as ClientSession;
  const call = (): CallerFacts =>
    ({
      principal: { id: 'a' },
      session,
      exchange: { capabilities, signal: new Cancellation() },
    }) as unknown as CallerFacts;

  for (const sharing of ['session', 'principal'] as const)
    expect(ownerOf(sharing, call())).toBe(ownerOf(sharing, call()));
  expect(ownerOf('session', call())?.key).toBe('session-1');
  expect(ownerOf('principal', call())?.key).toBe('a {"elicitation":{}}');
  expect(declarable({ experimental: {} })).toBe(declarable({}));
});
