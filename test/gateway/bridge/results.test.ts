import { expect, test } from 'vitest';
import { bridgeError, bridgeResult, toLegacyTool } from '../../../src/gateway/bridge/results.ts';

const modern = { era: 'modern', method: 'tools/call' } as const;
const legacy = { era: 'legacy', method: 'tools/call' } as const;
const text = { type: 'text', text: 'hi' };

test('within the legacy era a result is the very same object', () => {
  const result = { content: [text], unknown: { field: 1 }, _meta: { 'com.example/key': 1 } };

  expect(bridgeResult(legacy, 'legacy', result)).toBe(result);
});

test('a modern caller gets a result type, and of foreign metadata only what is not the protocol’s', () => {
  const result = {
    content: [text],
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'behind' }, 'com.example/key': 1 },
  };

  expect(bridgeResult(modern, 'legacy', result)).toEqual({
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

  expect(bridgeResult({ era: 'legacy', method: 'resources/read' }, 'modern', result)).toEqual({ contents: [] });
});

test('a read is private to a modern caller, and stale at once where the server cannot say', () => {
  const read = { era: 'modern', method: 'resources/read' } as const;

  expect(bridgeResult(read, 'legacy', { contents: [] })).toMatchObject({ ttlMs: 0, cacheScope: 'private' });
  expect(
    bridgeResult(read, 'modern', { contents: [], ttlMs: 500, cacheScope: 'public', resultType: 'complete' }),
  ).toMatchObject({
    ttlMs: 500,
    cacheScope: 'private',
  });
  expect(bridgeResult(read, 'modern', { contents: [], ttlMs: -1 })).toMatchObject({ ttlMs: 0 });
});

test('structured content that is no object is wrapped for a legacy caller, with a text block if there is none', () => {
  expect(bridgeResult(legacy, 'modern', { content: [], structuredContent: [1, 2], resultType: 'complete' })).toEqual({
    content: [{ type: 'text', text: '[1,2]' }],
    structuredContent: { result: [1, 2] },
  });
  expect(bridgeResult(legacy, 'modern', { content: [text], structuredContent: 'x', resultType: 'complete' })).toEqual({
    content: [text],
    structuredContent: { result: 'x' },
  });
});

test('an output schema that is no object is wrapped for a legacy client, and others are left alone', () => {
  const object = { name: 'a', outputSchema: { type: 'object', properties: {} } };

  expect(toLegacyTool(object)).toBe(object);
  expect(toLegacyTool({ name: 'b', outputSchema: { $schema: 's', type: 'array' } })).toEqual({
    name: 'b',
    outputSchema: { $schema: 's', type: 'object', properties: { result: { type: 'array' } }, required: ['result'] },
  });
});

test('a resource that is not found has the code of the caller’s era', () => {
  const read = { method: 'resources/read', requested: 'x://1' } as const;

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
