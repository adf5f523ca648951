import { OfferedList } from '../../src/core/reply.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AuditRecord, encodeRecord, eventOf, intentOf, outcomeOf } from '../../src/audit/record.ts';
import { type ErrorCode, GatewayError, toGatewayError } from '../../src/core/errors.ts';
import { ALLOWED, makeCall, makeContext, makeReply, settlementOf } from './calls.ts';
import { GENESIS, headOf, prefixOf } from '../../src/audit/segment-file.ts';
import { statusOf, statusOfError } from '../../src/core/call-context.ts';

const decode = (record: AuditRecord): unknown => JSON.parse(`{${encodeRecord(record)}`);

test('an intent says who, what, where and why, and the shape of the arguments', () => {
  const call = makeCall();

  const record = decode(intentOf(call, makeContext()));

  expect(record).toEqual({
    time: expect.any(Number) as number,
    kind: 'intent',
    call: call.id,
    trace: '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7',
    principal: { id: 'local', kind: 'local', groups: [], scopes: [], credential: 'none' },
    client: { name: 'test', version: '1' },
    address: '127.0.0.1',
    method: 'tools/call',
    exposed: 'everything__echo',
    original: 'echo',
    server: 'everything',
    downstream: { era: 'modern', transport: 'streamable-http' },
    decision: ALLOWED,
    requestBytes: 123,
    shape: { message: 'string(8)' },
    config: 'c',
  });
});

test('an intent of a name that is not offered says what was asked for', () => {
  const call = makeCall({ endpoint: { kind: 'server', name: 'files' } });
  const record = decode(intentOf(call, makeContext({ target: undefined, requested: 'nope' })));

  expect(record).toMatchObject({ exposed: 'nope', server: 'files' });
  expect(record).not.toHaveProperty('original');
});

test('an intent of a call that was refused before policy was asked says so, and what of it is known', () => {
  const call = makeCall({ params: { name: 'x', arguments: 3 } });

  expect(
    decode(intentOf(call, makeContext({ target: undefined, requested: undefined, decision: undefined }))),
  ).toMatchObject({
    method: 'tools/call',
    shape: 'integer',
    decision: { allowed: false, rule: 'none', reason: 'the call was refused before policy was asked' },
  });
});

test('an outcome says how the call ended, how long it took, and who answered', () => {
  const call = makeCall({ startedAt: performance.now() - 50 });

  const record = decode(outcomeOf(call, settlementOf(makeReply()))) as { duration: number };

  expect(record).toEqual({
    time: expect.any(Number) as number,
    kind: 'outcome',
    call: call.id,
    duration: expect.any(Number) as number,
    status: 'ok',
    instance: 'everything#1',
    upstream: { era: 'legacy', transport: 'stdio' },
    responseBytes: 45,
  });
  expect(record.duration).toBeGreaterThanOrEqual(50);
});

test('every kind of reply has its status', () => {
  expect(statusOf(makeReply())).toBe('ok');
  expect(statusOf(makeReply({ isError: true }))).toBe('tool_error');
  expect(statusOf({ kind: 'error', error: { code: -32602, message: 'no' } })).toBe('protocol_error');
  expect(statusOf({ kind: 'list', of: 'tool', list: new OfferedList([]), isPrivate: false })).toBe('ok');
  expect(
    decode(outcomeOf(makeCall(), settlementOf({ kind: 'error', error: { code: -32602, message: 'no' } }))),
  ).toMatchObject({
    error: '-32602',
  });
});

test.each<[ErrorCode, string]>([
  ['unknown_target', 'refused'],
  ['invalid_params', 'refused'],
  ['overloaded', 'refused'],
  ['shutting_down', 'refused'],
  ['cancelled', 'cancelled'],
  ['upstream_timed_out', 'timed_out'],
  ['upstream_unreachable', 'unreachable'],
  ['upstream_closed', 'unknown'],
  ['upstream_protocol', 'protocol_error'],
  ['upstream_message_too_large', 'protocol_error'],
  ['upstream_rejected', 'protocol_error'],
  ['internal', 'unknown'],
])('a call that ended with %s is %s', (code, status) => {
  expect(statusOfError(new GatewayError(code, 'x'))).toBe(status);
  expect(decode(outcomeOf(makeCall(), settlementOf(new GatewayError(code, 'x'))))).toMatchObject({
    status,
    error: code,
  });
});

test('an error that is not ours says nothing of its text in the record', () => {
  const text = encodeRecord(outcomeOf(makeCall(), settlementOf(toGatewayError(new Error('password is hunter2')))));

  expect(text).toContain('"status":"unknown","error":"internal"');
  expect(text).not.toContain('hunter2');
});

/** As it stands in the file. */
const stored = (encoded: string) => Buffer.from(prefixOf(7, GENESIS) + encoded);

test('any text from outside is one line of JSON of bounded length, and its head can be read', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3_000 }), (text) => {
      const call = makeCall({ client: { name: text, version: text }, address: text });
      const decision = { allowed: false, rule: text, reason: 'x' };
      const intent = intentOf(call, makeContext({ target: undefined, requested: text, decision }));

      const encoded = encodeRecord(intent);

      expect(encoded).not.toMatch(/[\n\r]/);
      const found = JSON.parse(`{${encoded}`) as { exposed: string; client: { name: string } };
      expect(found.exposed).toBe(text.length > 1024 ? `${text.slice(0, 1024)}…` : text);
      expect(found.client.name.length).toBeLessThanOrEqual(129);
      expect(headOf(stored(encoded))).toEqual({ seq: 7, time: intent.time, kind: 'intent', call: intent.call });
    }),
  );
});

test('an event carries its detail, unless that is huge', () => {
  expect(decode(eventOf('reload', { ok: true }))).toMatchObject({
    kind: 'event',
    event: 'reload',
    detail: { ok: true },
  });
  expect(headOf(stored(encodeRecord(eventOf('reload'))))).toMatchObject({ seq: 7, kind: 'event', call: '' });

  const huge = encodeRecord(eventOf('reload', { text: 'x'.repeat(1_000_000) }));

  expect(huge.length).toBeLessThan(1_000);
  expect(huge).toContain('omitted');
});
