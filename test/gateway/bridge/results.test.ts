// Results and errors of servers as callers of each era get them.
import { expect, test } from 'vitest';
import { bridgeError, bridgeResult } from '../../../src/gateway/bridge/results.ts';

const modern = { era: 'modern', method: 'tools/call', revision: '2026-07-28' } as const;
const legacy = { era: 'legacy', method: 'tools/call', revision: '2025-11-25' } as const;
const plain = { wrapsOutput: false };
const fromLegacy = { era: 'legacy', traits: plain } as const;
const fromModern = { era: 'modern', traits: plain } as const;
const text = { type: 'text', text: 'hi' };

test('within the legacy era a result is the very same object', () => {
  const result = { content: [text], unknown: { field: 1 }, _meta: { 'com.example/key': 1 } };

  expect(bridgeResult(legacy, fromLegacy, result)).toBe(result);
});

test('a modern caller gets a result type, and of foreign metadata only what is not the protocol’s', () => {
  const result = {
    content: [text],
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'behind' }, 'com.example/key': 1 },
  };

  expect(bridgeResult(modern, fromLegacy, result)).toEqual({
    content: [text],
    resultType: 'complete',
    _meta: { 'com.example/key': 1 },
  });
});

test('a legacy caller never sees the fields of the modern era', () => {
  const result = {
    contents: [],
    resultType: 'complete',
    ttlMs: 5,
    cacheScope: 'public',
    _meta: { 'io.modelcontextprotocol/serverInfo': {} },
  };

  expect(bridgeResult({ ...legacy, method: 'resources/read' }, fromModern, result)).toEqual({ contents: [] });
});

test('a read is private to a modern caller, and not cacheable where the server is legacy', () => {
  const read = { ...modern, method: 'resources/read' } as const;

  expect(bridgeResult(read, fromLegacy, { contents: [] })).toMatchObject({ ttlMs: 0, cacheScope: 'private' });
  expect(
    bridgeResult(read, fromModern, { contents: [], ttlMs: 500, cacheScope: 'public', resultType: 'complete' }),
  ).toMatchObject({
    ttlMs: 500,
    cacheScope: 'private',
  });
  expect(bridgeResult(read, fromModern, { contents: [], ttlMs: -1 })).toMatchObject({ ttlMs: 0 });
});

test('structured content that is no object is wrapped for a legacy caller, with a text block if there is none', () => {
  expect(bridgeResult(legacy, fromModern, { content: [], structuredContent: [1, 2], resultType: 'complete' })).toEqual({
    content: [{ type: 'text', text: '[1,2]' }],
    structuredContent: { result: [1, 2] },
  });
  expect(bridgeResult(legacy, fromModern, { content: [text], structuredContent: 'x', resultType: 'complete' })).toEqual(
    {
      content: [text],
      structuredContent: { result: 'x' },
    },
  );
});

test('an object is wrapped for a legacy caller too where the schema of its tool is', () => {
  const wrapping = { traits: { wrapsOutput: true } };
  const result = { content: [], structuredContent: { a: 1 } };

  for (const era of ['legacy', 'modern'] as const)
    expect(bridgeResult(legacy, { era, ...wrapping }, result)).toEqual({
      content: [],
      structuredContent: { result: { a: 1 } },
    });
  expect(bridgeResult(modern, { era: 'modern', ...wrapping }, result)).toMatchObject({ structuredContent: { a: 1 } });
});

test('a resource that is not found has the code of the caller’s era', () => {
  const read = { method: 'resources/read', params: { uri: 'x://1' } } as const;

  expect(bridgeError({ ...read, era: 'modern' }, { code: -32002, message: 'gone' })).toEqual({
    code: -32602,
    message: 'gone',
    data: { uri: 'x://1' },
  });
  expect(bridgeError({ ...read, era: 'legacy' }, { code: -32602, message: 'gone', data: { uri: 'x://1' } }).code).toBe(
    -32002,
  );
  expect(bridgeError({ ...read, era: 'legacy' }, { code: -32602, message: 'bad' }).code).toBe(-32602);
});

test('the error for an unknown resource quotes only the beginning of a long URI', () => {
  const requested = `x://${'1'.repeat(1_000_000)}`;
  const { data } = bridgeError(
    { method: 'resources/read', params: { uri: requested }, era: 'modern' },
    { code: -32002, message: 'gone' },
  );

  expect(data).toEqual({ uri: requested.slice(0, 256) });
});
