// The same as in integration, for as long as it takes to believe it.
import { afterAll, beforeAll, test } from 'vitest';
import { crashAndStartAgain, leaveNothingBehind, startVisited, type Visited } from '../integration/harness/visits.ts';

let there: Visited;

beforeAll(async () => (there = await startVisited(10)));
afterAll(() => there.stop());

test('1,000 connects, aborts and dropped streams leave nothing behind, in the gateway or its server', () =>
  leaveNothingBehind(there, 1_000));

test('50 servers that crash and start again leave no process and no descriptor behind', () =>
  crashAndStartAgain(there, 5));
