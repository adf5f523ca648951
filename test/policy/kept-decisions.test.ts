// A decision on a name is made once a configuration: how often patterns are run is counted, not timed.
import { type Offered, OfferedList } from '../../src/core/reply.ts';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { Cancellation } from '../../src/core/cancellation.ts';
import { CallContext } from '../../src/core/call-context.ts';
import type { Target } from '../../src/core/call.ts';
import type { Decidable, PolicyView } from '../../src/core/decision.ts';
import { buildPipeline } from '../../src/gateway/pipeline.ts';
import { unknownMcp } from '../../src/gateway/resolve.ts';
import { BOUNDS } from '../../src/core/bounds/bounds.ts';
import { compilePatterns } from '../../src/policy/patterns.ts';
import { compilePolicy, type PolicyEntry, rulesOfServer } from '../../src/policy/policy.ts';
import { InFlightMemory } from '../../src/quota/in-flight-memory.ts';
import { makeCall, makeReply } from '../audit/calls.ts';
import { pino } from 'pino';

const runs = { count: 0 };

/** Compiles as the policy does; counts how often what comes of it is run. */
const counted: typeof compilePatterns = (list) => {
  const matcher = compilePatterns(list);
  return (name) => {
    runs.count += 1;
    return matcher(name);
  };
};

beforeEach(() => {
  runs.count = 0;
});

const everything = { allow: ['*'], deny: [] };
const thousand = (word: string) => Array.from({ length: 1_000 }, (_, index) => `${word}_${index}_*`);
const server = { name: 'everything', prompts: everything, resources: { allow: ['*'], deny: thousand('deny') } };
const restricted = { ...server, tools: { allow: [...thousand('allow'), 'echo'], deny: thousand('deny') } };

const tool = (original: string) => ({ kind: 'tool', server: 'everything', original }) as const;
const resource = (original: string): Decidable => ({ kind: 'resource', server: 'everything', original });

const viewOf = (...servers: PolicyEntry[]) =>
  compilePolicy(servers.flatMap(rulesOfServer), { compile: counted }).viewFor(makeCall());
const decide = (view: PolicyView, target: Decidable) => view.decide({ action: 'resources/read', target });

interface Asked {
  readonly method?: string;
  readonly target?: Target;
  readonly requested?: string;
}

function pipelineOf(policy: PolicyView, entries: readonly Offered[]) {
  const list = { kind: 'list', of: 'tool', list: new OfferedList(entries), isPrivate: false } as const;
  const handle = buildPipeline({
    logger: pino({ level: 'silent' }),
    audit: { append: () => Promise.resolve() },
    memory: new InFlightMemory(),
    stopping: new Cancellation().signal,
    kinds: {
      mcp: {
        resolve: () => undefined,
        unknown: unknownMcp,
        dispatch: ({ action }) => Promise.resolve(action === 'tools/list' ? list : makeReply()),
      },
    },
  });
  return ({ method = 'tools/call', ...found }: Asked) =>
    handle(makeCall({ method }), Object.assign(new CallContext({ policy, config: '' }), found));
}

test('calls and lists of what was called and listed before run no pattern', async () => {
  const listed = ['echo', 'other'].map((original): Offered => ({
    ...tool(original),
    exposed: original,
    definition: {},
  }));
  const handle = pipelineOf(viewOf(restricted), listed);
  const call = (original: string) =>
    handle({ target: { kind: 'tool', server: 'everything', exposed: original, original } });
  const list = () => handle({ method: 'tools/list' });
  const round = async () => [await call('echo'), await call('other').catch((error: unknown) => error), await list()];
  const first = await round();
  expect(runs.count).toBeGreaterThan(0);
  runs.count = 0;

  for (let times = 0; times < 50; times += 1) expect(await round()).toEqual(first);

  expect(runs.count).toBe(0);
  expect(first[1]).toMatchObject({ code: 'unknown_target' });
});

test('a name that nobody offers is refused without running a pattern', async () => {
  const handle = pipelineOf(viewOf(restricted), []);

  for (let times = 0; times < 50; times += 1)
    await expect(handle({ requested: `everything__${times}` })).rejects.toMatchObject({
      code: 'unknown_target',
    });

  expect(runs.count).toBe(0);
});

const anew = (target: Decidable): Decidable => ({ ...target, pendingDiscovery: true });

test('what is decided of a name that may not be offered is not kept', () => {
  const view = viewOf(restricted);

  view.permits(anew(tool('echo')));
  const once = runs.count;
  view.permits(anew(tool('echo')));

  expect(runs.count).toBe(2 * once);
});

test('URIs that callers make up take no more room than is set, and long ones none', () => {
  const view = viewOf(restricted);
  decide(view, resource('file:///first'));
  for (let made = 1; made < BOUNDS.keptDecisions; made += 1) decide(view, resource(`file:///${made}`));
  runs.count = 0;
  decide(view, resource('file:///first'));
  expect(runs.count).toBe(0);

  decide(view, resource('file:///one-more'));
  runs.count = 0;
  decide(view, resource('file:///one-more'));
  expect(runs.count).toBe(0);
  decide(view, resource('file:///first'));
  expect(runs.count).toBeGreaterThan(0);

  const long = 'x'.repeat(BOUNDS.keptDecisionName + 1);
  decide(view, resource(long));
  runs.count = 0;
  decide(view, resource(long));
  expect(runs.count).toBeGreaterThan(0);
});

test('a decision that is kept is the one that would be made anew', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), minLength: 1, maxLength: 4 });
  const patterns = fc.array(pattern, { maxLength: 4 });
  const names = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 4 }), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(patterns, patterns, names, (allow, deny, originals) => {
      const entry = { ...server, tools: { allow, deny }, resources: { allow: deny, deny: allow } };
      const kept = viewOf(entry);
      const targets = originals.flatMap((original) => [tool(original), resource(original)]);
      for (const target of [...targets, ...targets.toReversed()])
        expect(decide(kept, target)).toEqual(decide(viewOf(entry), anew(target)));
    }),
  );
});
