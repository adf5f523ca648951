// Allow and deny: one decision for lists and calls, deny first, unknown is forbidden.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePatterns } from '../../src/policy/patterns.ts';
import { compilePolicy, UNKNOWN, unmatchedPatterns } from '../../src/policy/policy.ts';

const everything = { allow: ['*'], deny: [] };
const server = (name: string, tools: { allow: string[]; deny: string[] }) => ({
  name,
  tools,
  prompts: everything,
  resources: everything,
});

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
      const { allowed } = compilePolicy([server('s', { allow, deny })]).decide({ kind: 'tool', server: 's', original });

      const named = (list: string[]) => list.some((text) => reference(text).test(original));
      expect(allowed).toBe(named(allow) && !named(deny));
    }),
  );
});

test('a server that the configuration does not have is forbidden', () => {
  const policy = compilePolicy([server('s', everything)]);

  expect(policy.decide({ kind: 'tool', server: 'gone', original: 'x' })).toBe(UNKNOWN);
  expect(UNKNOWN.allowed).toBe(false);
});

test('a decision names the setting and the pattern that made it', () => {
  const policy = compilePolicy([server('s', { allow: ['a*'], deny: ['*b'] })]);
  const decide = (original: string) => policy.decide({ kind: 'tool', server: 's', original });

  expect(decide('ab')).toMatchObject({ allowed: false, rule: 'mcpServers.s.tools.deny' });
  expect(decide('ab').reason).toContain('"*b"');
  expect(decide('x')).toMatchObject({ allowed: false, rule: 'mcpServers.s.tools.allow' });
  expect(decide('aa')).toMatchObject({ allowed: true, rule: 'mcpServers.s.tools.allow' });
});

test('a decision says where its pattern stands, or the list that has none for it', () => {
  const places = { 'tools.deny': 'f:3:5', 'tools.deny.0': 'f:3:15', 'tools.deny.1': 'f:3:20', 'tools.allow': 'f:4:5' };
  const policy = compilePolicy([{ ...server('s', { allow: ['a*'], deny: ['z', '*b'] }), places }]);
  const decide = (original: string) => policy.decide({ kind: 'tool', server: 's', original });

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
