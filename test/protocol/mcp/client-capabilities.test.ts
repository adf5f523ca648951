// What is kept of the capabilities that clients declare.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { META } from '../../../src/protocol/mcp/vocabulary.ts';
import { readModernMeta } from '../../../src/protocol/mcp/frames.ts';
import {
  declarable,
  declaresTasks,
  knownCapabilities,
  TASKS_EXTENSION,
  whyNotAsked,
} from '../../../src/protocol/mcp/capabilities.ts';

const flag = fc.constantFrom<unknown>(undefined, {}, { odd: [[]] }, true, null, []);
const declared = fc.record({
  elicitation: fc.oneof(flag, fc.record({ form: flag, url: flag })),
  sampling: fc.oneof(flag, fc.record({ tools: flag, context: flag })),
  roots: fc.oneof(flag, fc.record({ listChanged: fc.constantFrom(undefined, true, false, 'yes') })),
  extensions: fc.oneof(flag, fc.record({ [TASKS_EXTENSION]: flag })),
  experimental: flag,
}) as fc.Arbitrary<JsonObject>;

const QUESTIONS: readonly (readonly [string, JsonObject])[] = [
  ['elicitation/create', {}],
  ['elicitation/create', { mode: 'url' }],
  ['sampling/createMessage', {}],
  ['sampling/createMessage', { tools: [] }],
  ['roots/list', {}],
];

test('a client can be asked the same by what is kept of its capabilities as by all of them', () => {
  const verdicts = (capabilities: JsonObject) => [
    declaresTasks(capabilities),
    ...QUESTIONS.map(([method, params]) => whyNotAsked(method, params, capabilities)),
  ];
  fc.assert(
    fc.property(declared, (capabilities) => {
      expect(verdicts(knownCapabilities(capabilities))).toEqual(verdicts(capabilities));
      expect(verdicts(declarable(capabilities)).slice(1)).toEqual(verdicts(capabilities).slice(1));
    }),
    { numRuns: 2_000 },
  );
});

test('whoever declares the same keeps the same small object, however much was sent', () => {
  const large = { elicitation: { form: { a: [1] } }, roots: { listChanged: true, b: [] }, experimental: { c: [[]] } };

  expect(knownCapabilities(large)).toEqual({ elicitation: { form: {} }, roots: { listChanged: true } });
  expect(knownCapabilities(large)).toBe(knownCapabilities({ roots: { listChanged: true }, elicitation: { form: {} } }));
  expect(knownCapabilities({ extensions: { [TASKS_EXTENSION]: { d: [] }, other: {} } })).toEqual({
    extensions: { [TASKS_EXTENSION]: {} },
  });
});

test('a request of the modern era says no more than that', () => {
  const _meta = { [META.version]: '2026-07-28', [META.clientCapabilities]: { sampling: { a: [[]] }, b: [] } };

  expect(readModernMeta({ _meta }).capabilities).toBe(knownCapabilities({ sampling: {} }));
});
