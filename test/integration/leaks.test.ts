// Whoever comes, goes, breaks off or restarts: the gateway holds no more processes, descriptors and listeners than before.
import { afterAll, beforeAll, test } from 'vitest';
import { crashAndStartAgain, leaveNothingBehind, startVisited, type Visited } from './harness/visits.ts';

let there: Visited;

beforeAll(async () => (there = await startVisited(5)));
afterAll(() => there.stop());

test('160 connects, aborts and dropped streams leave nothing behind, in the gateway or its server', () =>
  leaveNothingBehind(there, 160));

test('ten servers that crash and start again leave no process and no descriptor behind', () =>
  crashAndStartAgain(there, 2));
