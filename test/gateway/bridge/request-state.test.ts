// A state is bound to one principal, method, target and set of arguments, for an hour.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { McpCall, Target } from '../../../src/core/call.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { type RequestState, RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { makeCall } from '../../audit/bare-call.ts';
import { temporaryFolder } from '../../storage/temporary.ts';

const TARGET: Target = { kind: 'tool', server: 'one', exposed: 'one__ask', original: 'ask' };
const ARGUMENTS: JsonObject = { a: 1, b: { x: [1, { y: 2, z: 3 }], w: null } };
const STATE: RequestState = { parked: { key: 'k', round: 1 } };
const STALE = /`params.requestState` is not valid for this call/;

const states = () => new RequestStates(new Keyring(temporaryFolder()));
const retry = (requestState: unknown, changes: Partial<McpCall> = {}, args: unknown = ARGUMENTS) =>
  makeCall({ ...changes, params: { name: 'one__ask', arguments: args, requestState } as JsonObject });
const first = (args = ARGUMENTS) => makeCall({ params: { name: 'one__ask', arguments: args } });

afterEach(() => {
  vi.useRealTimers();
});

describe('A state', () => {
  test('opens on the retry of its call, whatever the order of keys', () => {
    const all = states();
    const state = all.seal(first(), TARGET, STATE);

    expect(all.open(retry(state), TARGET)).toEqual(STATE);
    expect(all.open(retry(state, {}, { b: { w: null, x: [1, { z: 3, y: 2 }] }, a: 1 }), TARGET)).toEqual(STATE);
    expect(all.open(first(), TARGET)).toBeUndefined();
  });

  test.each<[string, { call?: Partial<McpCall>; target?: Partial<Target>; args?: unknown }]>([
    ['another principal', { call: { principal: { ...makeCall().principal, id: 'somebody else' } } }],
    ['another method', { call: { method: 'prompts/get' } }],
    ['another server', { target: { server: 'two' } }],
    ['another tool', { target: { original: 'tell' } }],
    ['other arguments', { args: { ...ARGUMENTS, a: 2 } }],
    ['an argument more', { args: { ...ARGUMENTS, d: 0 } }],
    ['another order in a list', { args: { a: 1, b: { x: [{ y: 2, z: 3 }, 1], w: null } } }],
    ['no arguments', { args: null }],
  ])('does not open for %s', (_who, { call = {}, target = {}, args }) => {
    const all = states();
    const state = all.seal(first(), TARGET, STATE);

    expect(() => all.open(retry(state, call, args), { ...TARGET, ...target })).toThrow(STALE);
  });

  test('does not open for another gateway, after an hour, or if it is no text', () => {
    vi.useFakeTimers();
    const all = states();
    const state = all.seal(first(), TARGET, STATE);

    expect(() => states().open(retry(state), TARGET)).toThrow(STALE);
    for (const wrong of [1, null, {}, ['x'], '', 'x', '.', `${state}x`])
      expect(() => all.open(retry(wrong), TARGET), JSON.stringify(wrong)).toThrow(STALE);
    vi.advanceTimersByTime(60 * 60_000);
    expect(all.open(retry(state), TARGET)).toEqual(STATE);
    vi.advanceTimersByTime(1);
    expect(() => all.open(retry(state), TARGET)).toThrow(STALE);
  });

  test('of ours takes at most 4 KiB, whatever the arguments', () => {
    const huge = { text: 'x'.repeat(1_000_000) };

    expect(states().seal(first(huge), TARGET, STATE).length).toBeLessThanOrEqual(4_096);
  });
});

describe('The state of a server', () => {
  const asked = (requestState: unknown): JsonObject =>
    ({ resultType: 'input_required', inputRequests: {}, requestState }) as JsonObject;

  test('of 64 KiB travels inside ours, unreadable', () => {
    const all = states();
    const own = 'secret '.repeat(9_362).slice(0, 64 * 1024);
    const wrapped = all.wrap(first(), TARGET, asked(own));

    expect(wrapped).toMatchObject({ resultType: 'input_required', inputRequests: {} });
    expect(wrapped.requestState).not.toContain('secret');
    expect(all.open(retry(wrapped.requestState), TARGET)).toEqual({ upstream: own });
  });

  test.each([
    ['over 64 KiB', 'x'.repeat(64 * 1024 + 1)],
    ['that is no text', { not: 'text' }],
  ])('%s is an error that names the server', (_what, own) => {
    expect(() => states().wrap(first(), TARGET, asked(own))).toThrow(
      'The server "one" asked with a requestState that is not a string of at most 65536 characters.',
    );
  });

  test('that is not there stays away', () => {
    const result = { resultType: 'input_required', inputRequests: {} };

    expect(states().wrap(first(), TARGET, result)).toBe(result);
  });
});

test('A state opens for the same arguments in whatever order of keys, and for no others', () => {
  const all = states();
  const args = fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 });
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([name, inner]) => [name, reversed(inner)]),
    );
  };
  const given = (value: unknown) => JSON.parse(JSON.stringify(value)) as JsonObject; // as it comes from the wire
  fc.assert(
    fc.property(args, args, (one, other) => {
      const state = all.seal(first(given(one)), TARGET, STATE);

      expect(all.open(retry(state, {}, given(reversed(one))), TARGET)).toEqual(STATE);
      if (!isDeepStrictEqual(given(one), given(other)))
        expect(() => all.open(retry(state, {}, given(other)), TARGET)).toThrow(STALE);
    }),
    { numRuns: 300 },
  );
});
