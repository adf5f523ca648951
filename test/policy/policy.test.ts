// Allow and deny: one decision for lists and calls, deny first, unknown is forbidden.
import { type Offered, OfferedList } from '../../src/core/reply.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePatterns } from '../../src/policy/patterns.ts';
import type { Decidable } from '../../src/core/decision.ts';
import { LOCAL } from '../../src/core/principal.ts';
import { compilePolicy, type PolicyEntry, rulesOfServer, UNKNOWN, unmatchedPatterns } from '../../src/policy/policy.ts';
import { makeCall, policyEntry } from '../audit/bare-call.ts';

const everything = { allow: ['*'], deny: [] };
const server = (name: string, tools: { allow: string[]; deny: string[] }) => policyEntry(name, { tools });

const viewOf = (...servers: PolicyEntry[]) =>
  compilePolicy(servers.flatMap(rulesOfServer), { releases: new Set(['let go']) }).viewFor(makeCall());
const decideIn = (entry: PolicyEntry, target: Decidable) => viewOf(entry).decide({ action: 'tools/call', target });

const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 6 });
const name = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });

/** The same written as a regular expression. */
const reference = (text: string) =>
  new RegExp(
    `^${text
      .split('*')
      .map((part) => part.replaceAll('.', '\\.'))
      .join('.*')}$`,
  );

test('a pattern matches what its stars can stand for', () => {
  fc.assert(
    fc.property(pattern, name, (text, candidate) => {
      expect(compilePatterns([text])(candidate) !== undefined).toBe(reference(text).test(candidate));
    }),
    { numRuns: 5_000 },
  );
});

test('what an allow pattern names and no deny pattern does is allowed, everything else is not', () => {
  const patterns = fc.array(pattern, { maxLength: 3 });
  fc.assert(
    fc.property(patterns, patterns, name, (allow, deny, original) => {
      const { allowed } = decideIn(server('s', { allow, deny }), { kind: 'tool', server: 's', original });

      const named = (list: string[]) => list.some((text) => reference(text).test(original));
      expect(allowed).toBe(named(allow) && !named(deny));
    }),
  );
});

test('a server that the configuration does not have is forbidden', () => {
  const target = { kind: 'tool', server: 'gone', original: 'x' } as const;

  expect(decideIn(server('s', everything), target)).toBe(UNKNOWN);
  expect(viewOf(server('s', everything)).permits(target)).toBe(false);
  expect(UNKNOWN.allowed).toBe(false);
});

test('a decision names the setting and the pattern that made it', () => {
  const entry = server('s', { allow: ['a*'], deny: ['*b'] });
  const decide = (original: string) => decideIn(entry, { kind: 'tool', server: 's', original });

  expect(decide('ab')).toMatchObject({ allowed: false, rule: 'mcpServers.s.tools.deny' });
  expect(decide('ab').reason).toContain('"*b"');
  expect(decide('x')).toMatchObject({ allowed: false, rule: 'mcpServers.s.tools.allow' });
  expect(decide('aa')).toMatchObject({ allowed: true, rule: 'mcpServers.s.tools.allow' });
});

test('a decision says where its pattern stands, or the list that has none for it', () => {
  const places = { 'tools.deny': 'f:3:5', 'tools.deny.0': 'f:3:15', 'tools.deny.1': 'f:3:20', 'tools.allow': 'f:4:5' };
  const entry = { ...server('s', { allow: ['a*'], deny: ['z', '*b'] }), places };
  const decide = (original: string) => decideIn(entry, { kind: 'tool', server: 's', original });

  expect(decide('ab').source).toBe('f:3:20');
  expect(decide('x').source).toBe('f:4:5');
  expect(decide('aa').source).toBeUndefined();
});

test('a pattern that matches nothing which is offered is warned of, the one that stands there by default is not', () => {
  const entry = {
    ...server('s', { allow: ['*'], deny: ['delete_*', 'write_*', 'edit'] }),
    prompts: { allow: ['greet', 'gret'], deny: [] },
    places: { 'tools.deny.0': 'f:3:15' },
  };
  const offered = new Map([
    ['tool', new Set(['write_file', 'remove_file'])],
    ['prompt', new Set(['greet'])],
  ] as const);

  expect(unmatchedPatterns(entry, offered)).toEqual([
    'tools.deny pattern "delete_*" matches no tool of this server (f:3:15)',
    'tools.deny pattern "edit" matches no tool of this server',
    'prompts.allow pattern "gret" matches no prompt of this server',
  ]);
  expect(unmatchedPatterns(server('s', everything), new Map([['tool', new Set<string>()]]))).toEqual([]);
});

test('of several patterns the first in the list is named, with a star or without', () => {
  const lists: [string[], number][] = [
    [['b', 'a*', 'ab'], 1],
    [['ab', 'a*'], 0],
    [['x', 'ab', 'ab', '*'], 1],
  ];
  for (const [patterns, first] of lists) expect(compilePatterns(patterns)('ab')).toBe(first);
});

test('a name that nobody offers is denied, a call that names nothing is not, and what is followed may always be let go', () => {
  const view = viewOf(server('s', { allow: [], deny: [] }));
  const target = { kind: 'resource', server: 'gone', original: 'x:///a' } as const;

  expect(view.decide({ action: 'tools/call', requested: 'x' })).toBe(UNKNOWN);
  expect(view.decide({ action: 'tools/list' })).toMatchObject({ allowed: true, rule: 'default' });
  expect(view.decide({ action: 'let go', target, requested: 'x:///a' })).toMatchObject({
    allowed: true,
    rule: 'default',
  });
});

test('callers whom no rule tells apart share one view, and what it may see of a list is the same list again', () => {
  const policy = compilePolicy(rulesOfServer(server('s', { allow: ['a*'], deny: [] })));
  const view = policy.viewFor(makeCall());
  const offered = (original: string): Offered => ({
    kind: 'tool',
    server: 's',
    original,
    exposed: original,
    definition: {},
  });
  const [all, mixed] = [
    new OfferedList([offered('a'), offered('ab')]),
    new OfferedList([offered('a'), offered('b')]),
  ] as const;

  expect(policy.viewFor(makeCall({ principal: { ...LOCAL, id: 'somebody else' } }))).toBe(view);
  expect(view.visible(all)).toBe(all);
  expect(view.visible(mixed).entries).toEqual([offered('a')]);
  expect(view.visible(mixed)).toBe(view.visible(mixed));
});
