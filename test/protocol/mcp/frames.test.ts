// Frames: what is written is read back as it was, and what is no frame is refused for a reason.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../../src/core/json.ts';
import {
  errorText,
  idOf,
  notificationText,
  readFrame,
  requestText,
  resultText,
} from '../../../src/protocol/mcp/frames.ts';

const ids = fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.maxSafeInteger());
const objects = fc
  .dictionary(fc.string(), fc.jsonValue())
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);
const methods = fc.string({ unit: 'binary', maxLength: 256 });
const read = (text: string) => readFrame(JSON.parse(text) as JsonValue);
const normal = (id: string | number) => (Object.is(id, -0) ? 0 : id);

test('requests, notifications, results and errors come back as they were written, on one line', () => {
  fc.assert(
    fc.property(ids, methods, objects, (id, method, params) => {
      const request = requestText(id, method, params);
      expect(read(request)).toEqual({ kind: 'request', id: normal(id), method, params });
      expect(read(notificationText(method, params))).toEqual({ kind: 'notification', method, params });
      expect(read(resultText(id, JSON.stringify(params)))).toEqual({
        kind: 'response',
        id: normal(id),
        result: params,
      });
      expect(request).not.toMatch(/[\r\n]/);
    }),
  );
  fc.assert(
    fc.property(fc.option(ids, { nil: undefined }), fc.integer(), fc.string(), (id, code, message) => {
      const frame = read(errorText(id, { code, message }));
      expect(frame).toMatchObject({ kind: 'response', error: { code: code === 0 ? 0 : code, message } });
      expect((frame as { id: unknown }).id).toBe(id === undefined ? undefined : normal(id));
    }),
  );
});

test('any JSON is a frame or refused as no valid request, never anything else', () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        jsonrpc: fc.constantFrom('2.0', '1.0', 2),
        id: fc.oneof(ids, fc.double(), fc.constant(null), fc.boolean(), fc.constant('x'.repeat(1025))),
        method: fc.oneof(methods, fc.integer(), fc.constant('m'.repeat(257))),
        params: fc.oneof(objects, fc.constant(null), fc.array(fc.integer())),
        result: fc.oneof(objects, fc.string()),
        error: fc.oneof(
          fc.record({ code: fc.oneof(fc.integer(), fc.double()), message: fc.string() }),
          fc.constant(null),
        ),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(value, (given) => {
      const parsed = JSON.parse(JSON.stringify(given)) as JsonValue;
      try {
        expect(['request', 'notification', 'response']).toContain(readFrame(parsed).kind);
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError);
        expect((error as GatewayError).code).toBe('invalid_request');
      }
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  [{ id: 'a' }, 'a'],
  [{ id: 0 }, 0],
  [{ id: null }, undefined],
  [{ id: 1.5 }, undefined],
  [{ id: 2 ** 53 }, undefined],
  [[{ id: 1 }], undefined],
  ['id', undefined],
])('the id of %j, for the error that refuses it, is %j', (value, id) => {
  expect(idOf(value as JsonValue)).toBe(id);
});

test.each([
  [null, 'a string or an integer, not null'],
  [true, 'a string or an integer.'],
  [1.5, '1.5 is none'],
  [2 ** 53, '9007199254740992 is none'],
])('the refusal of the id %j says what is wrong with it', (id, words) => {
  expect(() => readFrame({ jsonrpc: '2.0', id, method: 'ping' })).toThrow(words);
});
