// The table of sessions: ids are unguessable and unique, and principals share the room.
import { expect, test } from 'vitest';
import { ALL_SERVERS } from '../../../src/core/call.ts';
import { GatewayError } from '../../../src/core/errors.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import type { Caller } from '../../../src/gateway/gateway.ts';
import { endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { Sessions, type TableSession } from '../../../src/downstream/mcp/sessions.ts';
import { size } from '../../size.ts';

const IDS = size(40_000, 1_000_000);
/** The characters of one id in so many are counted. */
const LOOKED_AT = 20;
const ALICE: Caller = {
  principal: { ...LOCAL, kind: 'token', id: 'alice' },
  endpoint: ALL_SERVERS,
  transport: 'streamable-http',
};

const BOB: Caller = { ...ALICE, principal: { ...LOCAL, kind: 'token', id: 'bob' } };

class Bare implements TableSession {
  readonly caller: Caller;
  busy = false;
  lastUsed = 0;

  constructor(caller = ALICE) {
    this.caller = caller;
  }

  end(): void {
    this.lastUsed = -1;
  }
}

test(`of ${IDS} ids none comes twice, and each of the 32 characters can be any of 64: 192 bits`, () => {
  const sessions = new Sessions(1, endpointLimits());
  const seen = new Set<string>();
  const counts = new Uint32Array(32 * 128);
  for (let count = 0; count < IDS; count++) {
    const { id } = sessions.open(ALICE.principal, () => new Bare());
    sessions.end(id);
    seen.add(id);
    if (id.length !== 32) throw new Error(`an id of ${id.length} characters`);
    if (count % LOOKED_AT === 0) for (let at = 0; at < 32; at++) counts[at * 128 + id.charCodeAt(at)]! += 1;
  }
  sessions.close();
  const used = counts.filter((count) => count > 0);
  const expected = IDS / LOOKED_AT / 64;

  expect(seen.size).toBe(IDS);
  expect(used).toHaveLength(32 * 64);
  // eight standard deviations: chance does not get there, and a bit that is not random does
  expect(Math.max(...used.map((count) => Math.abs(count - expected)))).toBeLessThan(8 * Math.sqrt(expected));
}, 120_000);

test('who names a session that is not its own is told the same whatever it named, and the operator which it was', () => {
  const sessions = new Sessions(10, endpointLimits());
  const { id, session } = sessions.open(ALICE.principal, () => new Bare());
  const elsewhere: Caller = { ...ALICE, endpoint: { kind: 'server', name: 's' } };
  const asked: [string, Caller][] = [
    [id, BOB],
    [id, elsewhere],
    ['never was', BOB],
  ];
  const refusals = asked.map(([named, caller]) => {
    try {
      sessions.find(named, { caller, kind: Bare });
      throw new Error(`${named} was found`);
    } catch (error) {
      expect(error).toBeInstanceOf(GatewayError);
      return error as GatewayError;
    }
  });
  expect(sessions.find(id, { caller: ALICE, kind: Bare })).toBe(session);
  sessions.close();

  expect(new Set(refusals.map(({ code, message }) => `${code}: ${message}`))).toEqual(
    new Set(['session_unknown: The session is unknown or has ended; start a new one with `initialize`.']),
  );
  expect(refusals.map(({ detail }) => detail)).toEqual([
    'The session belongs to another principal, or to another endpoint.',
    'The session belongs to another principal, or to another endpoint.',
    'The session is unknown or has ended.',
  ]);
});

test('nobody has more sessions than are free for others: its own oldest makes way, and those in use do not', () => {
  let now = 0;
  const sessions = new Sessions(10, { ...endpointLimits(), now: () => now++ });
  const open = (caller: Caller) => sessions.open(caller.principal, () => new Bare(caller)).session;
  const alices = Array.from({ length: 5 }, () => open(ALICE));
  const bobs = Array.from({ length: 3 }, () => open(BOB));
  const [first, second] = alices as [Bare, Bare];
  const ended = (list: readonly Bare[]) => list.map(({ lastUsed }) => lastUsed === -1);
  first.busy = true;
  open(ALICE);

  expect(ended(alices)).toEqual([false, true, false, false, false]);
  expect(ended(bobs)).toEqual([false, false, false]);
  for (const session of alices) if (session !== second) session.busy = true;
  const last = open(ALICE);
  last.busy = true;
  expect(() => open(ALICE)).toThrow('by this caller; others need what is free');
  expect(ended(bobs)).toEqual([false, false, false]);
  sessions.close();
  expect(ended([...alices, ...bobs, last])).not.toContain(false);
});

test('where everybody is local, there are no others to leave sessions to', () => {
  const sessions = new Sessions(4, endpointLimits());
  const open = () => sessions.open(LOCAL, () => new Bare({ ...ALICE, principal: LOCAL })).session;
  const all = Array.from({ length: 4 }, open);
  expect(all.map(({ lastUsed }) => lastUsed)).not.toContain(-1);
  for (const session of all) session.busy = true;
  expect(open).toThrow('limits.sessions');
  sessions.close();
});

test('a single session can always be had, and what ends is counted out', () => {
  const sessions = new Sessions(1, endpointLimits());
  for (let count = 0; count < 3; count++) {
    const { id, session } = sessions.open(ALICE.principal, () => new Bare());
    session.busy = true;
    expect(() => sessions.open(BOB.principal, () => new Bare(BOB))).toThrow('limits.sessions');
    sessions.end(id);
    sessions.end(id);
  }
  sessions.close();
});
