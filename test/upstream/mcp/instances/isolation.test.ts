// Whose calls share an instance, and which capabilities it declares.
import { expect, test } from 'vitest';
import type { ClientSession } from '../../../../src/core/exchange.ts';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import type { ServerConfig } from '../../../../src/config/config.ts';
import { declarable } from '../../../../src/protocol/mcp/capabilities.ts';
import { audiencesOf, type InstanceCaller, ownerOf } from '../../../../src/upstream/mcp/instances/affinity.ts';
import { ConfiguredServer } from '../../../../src/upstream/mcp/configured-server.ts';
import type { UpstreamContext } from '../../../../src/upstream/mcp/context.ts';
import type { EraKey } from '../../../../src/storage/server-key.ts';
import { Isolation } from '../../../../src/upstream/mcp/instances/isolation.ts';
import type { LearnedTrait } from '../../../../src/upstream/mcp/learned-store.ts';
import { SpokenEra } from '../../../../src/upstream/mcp/spoken-era.ts';

function isolationOf(isolation: ServerConfig['isolation'], known: LearnedTrait[] = []) {
  const events: [string, unknown][] = [];
  const learned = {
    traits: () => known,
    rememberTrait: (_key: EraKey, trait: LearnedTrait) => known.push(trait),
  };
  const context = { learned, events: { record: (event: string, detail: unknown) => events.push([event, detail]) } };
  const config = { name: 's', secrets: [] as string[], isolation, transport: 'stdio' } as unknown as ServerConfig;
  const server = new ConfiguredServer(config, context as unknown as UpstreamContext);
  return { known, events, isolation: new Isolation(server, new SpokenEra(server, 'legacy')) };
}

test('auto is shared until something is learned, once, with the reason; what was learned stays', () => {
  const { isolation, known, events } = isolationOf('auto');
  expect(isolation.sharing).toBe('shared');
  isolation.learn('asks', 'it asked x');
  isolation.learn('asks', 'it asked y');
  expect(events).toEqual([['server_isolated', { server: 's', trait: 'asks', why: 'it asked x' }]]);
  expect([isolation.sharing, isolation.startsOnDemand]).toEqual(['session', true]);
  expect(known.map(({ why }) => why)).toEqual(['it asked x']);
  expect(isolationOf('auto', known).isolation.sharing).toBe('session');
});

test('only owners of processes wait for starts; a modern server needs no sessions', () => {
  const { isolation } = isolationOf('auto');
  isolation.learn('asks', 'it asked x');
  isolation.connected({ transport: 'streamable-http', era: 'legacy' });
  expect([isolation.sharing, isolation.startsOnDemand]).toEqual(['session', false]);
  isolation.connected({ transport: 'stdio', era: 'modern' });
  expect([isolation.sharing, isolation.startsOnDemand]).toEqual(['shared', false]);
});

test.each(['shared', 'session', 'principal'] as const)(
  '%s by configuration is that, whatever is learned',
  (configured) => {
    const { isolation } = isolationOf(configured);
    isolation.learn('stateful', 'it assigned a session id');
    expect(isolation.sharing).toBe(configured);
  },
);

test('principals who differ in what they can answer have owners of their own; no principal can be another’s session', () => {
  const caller = (id: string, capabilities: object): InstanceCaller =>
    ({
      principal: { id },
      era: 'legacy',
      exchange: { capabilities, signal: new Cancellation() },
    }) as unknown as InstanceCaller;
  const keys = [caller('a', {}), caller('a', { roots: {} }), caller('a {}', {}), caller('a', { experimental: {} })].map(
    (each) => ownerOf('session', each).key,
  );
  expect(new Set(keys).size).toBe(3);
  expect(keys[0]).toBe(keys[3]);
  expect([...audiencesOf(caller('a', {}))]).toEqual([keys[0], 'era legacy']);
  expect(isolationOf('shared').isolation.ownerOf(caller('a', {}))).toBeUndefined();
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
  const call = (): InstanceCaller =>
    ({
      principal: { id: 'a' },
      session,
      exchange: { capabilities, signal: new Cancellation() },
    }) as unknown as InstanceCaller;

  const keys = (['session', 'principal'] as const).map((sharing) => {
    const { isolation } = isolationOf(sharing);
    expect(isolation.ownerOf(call())).toBe(isolation.ownerOf(call()));
    return isolation.ownerOf(call())?.key;
  });
  expect(keys).toEqual(['session-1', 'a {"elicitation":{}}']);
  expect(declarable({ experimental: {} })).toBe(declarable({}));
});
