// Proofs of the control key: good once, for a minute, for the request that they were made for.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ControlProofs, proveControl } from '../../src/identity/control-proof.ts';

const key = randomBytes(32);
const request = { method: 'POST', url: '/mcp' };
const refused = expect.objectContaining({ code: 'control_key_required' }) as unknown;

test('a proof made with the key is taken', () => {
  expect(() => new ControlProofs(key).check(proveControl(key, request), request)).not.toThrow();
});

test('a proof does not hold the key', () => {
  const proof = proveControl(key, request);

  for (const encoding of ['base64url', 'base64', 'hex'] as const) expect(proof).not.toContain(key.toString(encoding));
});

test.each([
  ['none', undefined],
  ['an empty one', ''],
  ['the key itself', `Control ${key.toString('base64url')}`],
  ['one of another key', proveControl(randomBytes(32), request)],
  ['one for another method', proveControl(key, { ...request, method: 'GET' })],
  ['one for another path', proveControl(key, { ...request, url: '/api/servers' })],
  ['one that is cut short', proveControl(key, request).slice(0, -1)],
  ['one with another time', proveControl(key, request).replace(/ \d/, ' 9')],
  ['a bearer token', 'Bearer abc'],
])('instead of a proof, %s is refused', (_what, authorization) => {
  expect(() => new ControlProofs(key).check(authorization, request)).toThrow(refused);
});

test('the refusal says what is missing and what to do', () => {
  expect(() => new ControlProofs(key).check(undefined, request)).toThrow(/control\.key.*mcp-gateway command.*restart/);
});

test('a proof is good once', () => {
  const proofs = new ControlProofs(key);
  const proof = proveControl(key, request);
  proofs.check(proof, request);

  expect(() => proofs.check(proof, request)).toThrow(/used before/);
  expect(() => proofs.check(proveControl(key, request), request)).not.toThrow();
});

test('a proof is good for a minute', () => {
  let now = 1_000_000;
  const proofs = new ControlProofs(key, () => now);
  const proof = proveControl(key, request, now);
  now += 60_001;

  expect(() => proofs.check(proof, request)).toThrow(/too old/);
});

test('what is remembered is bounded, and what was forgotten is not good again', () => {
  let now = 1_000_000;
  const proofs = new ControlProofs(key, () => now);
  const proofAt = (at: number) => proveControl(key, request, at);
  const first = proofAt(now);
  proofs.check(first, request);
  for (let count = 0; count < 10_000; count++) proofs.check(proofAt(++now), request);

  expect(() => proofs.check(first, request)).toThrow(/used before/);
  expect(() => proofs.check(proofAt(++now), request)).not.toThrow();
});
