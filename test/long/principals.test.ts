// Two principals who share every server, for as long as it takes to believe it.
import { expect, test } from 'vitest';
import { runCollidingClients } from '../integration/harness/colliding-clients.ts';
import { ALICE, BOB, SHARED_ERRANDS, startShared } from '../integration/harness/principals.ts';

test('100,000 interleaved calls of two principals with the same ids and tokens give nobody anything foreign', async () => {
  const { gateway, stop } = await startShared();

  const findings = await runCollidingClients(gateway.origin, {
    clients: 100,
    calls: 1_000,
    tokens: [ALICE, BOB],
    errands: SHARED_ERRANDS,
  });
  await stop();

  expect(findings.foreign).toEqual([]);
  expect(findings.answered).toBe(100_000);
  expect(findings.logged).toBe(100 * 100);
  expect(findings.progress).toBe(100 * 100 * 2);
  expect(findings.cancelled).toBe(50 * 20);
}, 900_000);
