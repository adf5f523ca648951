// Ids of sessions are secrets: nobody guesses one, and no two are the same.
import { expect, test } from 'vitest';
import { LOCAL } from '../../../src/core/principal.ts';
import type { Caller } from '../../../src/downstream/mcp/caller.ts';
import { LIMITS } from '../../../src/downstream/mcp/limits.ts';
import { type HeldSession, Sessions } from '../../../src/downstream/mcp/sessions.ts';

const MILLION = 1_000_000;
/** Of so many ids the characters of one are counted. */
const LOOKED_AT = 20;
const ALICE: Caller = { principal: { ...LOCAL, id: 'alice' }, transport: 'streamable-http' };

class Bare implements HeldSession {
  readonly caller = ALICE;
  readonly busy = false;
  lastUsed = 0;
  end(): void {
    this.lastUsed = -1;
  }
}

test('of a million ids none comes twice, and each of the 32 characters can be any of 64: 192 bits', () => {
  const sessions = new Sessions(1, LIMITS);
  const seen = new Set<string>();
  const counts = new Uint32Array(32 * 128);
  for (let count = 0; count < MILLION; count++) {
    const { id } = sessions.open(() => new Bare());
    sessions.end(id);
    seen.add(id);
    if (id.length !== 32) throw new Error(`an id of ${id.length} characters`);
    if (count % LOOKED_AT === 0) for (let at = 0; at < 32; at++) counts[at * 128 + id.charCodeAt(at)]! += 1;
  }
  sessions.close();
  const used = counts.filter((count) => count > 0);
  const expected = MILLION / LOOKED_AT / 64;

  expect(seen.size).toBe(MILLION);
  expect(used).toHaveLength(32 * 64);
  // eight standard deviations: chance does not get there, and a bit that is not random does
  expect(Math.max(...used.map((count) => Math.abs(count - expected)))).toBeLessThan(8 * Math.sqrt(expected));
}, 120_000);

test('who names a session that is not its own is told to the gateway, and told the same whatever it named', () => {
  const told: string[] = [];
  const sessions = new Sessions(10, LIMITS, ({ principal }, reason) => told.push(`${principal.id}: ${reason}`));
  const { id } = sessions.open(() => new Bare());
  const bob: Caller = { ...ALICE, principal: { ...LOCAL, id: 'bob' } };
  const answers = [id, 'never was'].map((named) => {
    try {
      return sessions.find(named, { caller: bob, kind: Bare });
    } catch (error) {
      return (error as Error).message;
    }
  });
  sessions.find(id, { caller: ALICE, kind: Bare });
  sessions.close();

  expect(answers[0]).toBe(answers[1]);
  expect(told).toEqual([
    'bob: The session belongs to another principal, or to another endpoint.',
    'bob: The session is unknown or has ended.',
  ]);
});
