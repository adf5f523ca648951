// What must have come of states that were stolen, and of races for one.
import { expect } from 'vitest';
import { toldIn } from './asking.ts';
import { ADA } from './askers.ts';
import type { Race } from './state-races.ts';
import type { Theft } from './stolen-states.ts';

/** Fails unless every state was refused alike and recorded, no server noticed, and the owners were not disturbed. */
export function expectRefused(theft: Theft, count: number): void {
  expect(theft.accepted).toEqual([]);
  expect(theft.attempts).toBeGreaterThanOrEqual(count);
  expect(theft.reached).toBe(0);
  expect(theft.recorded).toBe(theft.attempts);
  // one answer to everything that is not ours, and one to what is spent
  expect(theft.answers.size).toBe(2);
  const [one, two, bobs, stateless] = theft.owners;
  for (const owner of [one, two, bobs]) expect(toldIn(owner?.result ?? {})).toEqual(ADA);
  expect(toldIn(stateless?.result ?? {})).toMatchObject({ who: ADA });
}

/** Fails unless one answer reached the server, whoever gave the same got its outcome, and everybody else an error. */
export function expectOneOutcome(race: Race, count: number): void {
  expect(race.others).toEqual([]);
  expect(race.answersGiven).toBe(1);
  expect(race.winners.size).toBe(1);
  expect(race.won + race.refused).toBe(count);
  expect(race.won).toBeGreaterThan(0);
  expect(race.refused).toBeGreaterThan(0);
  expect(race.winners).toContain(race.again);
}
