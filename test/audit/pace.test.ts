import { expect, test } from 'vitest';
import { Pace } from '../../src/audit/pace.ts';
import { type AuditRecord } from '../../src/audit/record.ts';

/** Records of calls that each take `duration` ms, `concurrency` at a time, over `ms` ms. */
function play(pace: Pace, { concurrency, duration, ms }: { concurrency: number; duration: number; ms: number }): void {
  for (let time = 1_000; time < 1_000 + ms; time += duration) {
    for (let call = 0; call < concurrency; call++) {
      pace.note({ kind: 'intent', time } as AuditRecord);
      pace.note({ kind: 'outcome', time, call: 'c', status: 'ok', duration });
    }
  }
}

test('a lone caller is never made to wait, however fast it calls', () => {
  const pace = new Pace();

  play(pace, { concurrency: 1, duration: 0.5, ms: 1_000 });

  expect(pace.target).toBe(1);
});

test('calls that run side by side wait for one another', () => {
  const pace = new Pace();

  play(pace, { concurrency: 16, duration: 2, ms: 1_000 });

  expect(pace.target).toBeGreaterThanOrEqual(8);
});

test('slow calls do not make anyone wait, however many run side by side', () => {
  const pace = new Pace();

  play(pace, { concurrency: 16, duration: 80, ms: 3_000 });

  expect(pace.target).toBe(1);
});

test('what was learned is forgotten when it has been quiet', () => {
  const pace = new Pace();
  play(pace, { concurrency: 16, duration: 2, ms: 1_000 });

  pace.note({ kind: 'intent', time: 60_000 } as AuditRecord);

  expect(pace.target).toBe(1);
});
