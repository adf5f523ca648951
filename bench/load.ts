// The load generator: a process of its own that runs one round at a time and checks every answer.
import { createHistogram } from 'node:perf_hooks';
import { openCaller, type Subject } from './exchange.ts';
import type { Caller } from './messages.ts';

/** One round of load. */
export interface Round {
  readonly subject: Subject;
  readonly connections: number;
  readonly milliseconds: number;
}

/** What came of a round; times in microseconds. */
export interface Measured {
  readonly calls: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** The load generator's message about a round: what was measured, or why it failed. */
export type Outcome = { readonly measured: Measured } | { readonly failed: string };

async function run({ subject, connections, milliseconds }: Round): Promise<Measured> {
  const callers = await Promise.all(Array.from({ length: connections }, () => openCaller(subject)));
  const latencies = createHistogram();
  let calls = 0;
  const start = performance.now();
  const until = start + milliseconds;
  const work = async ({ call }: Caller): Promise<void> => {
    for (let before = performance.now(); before < until;) {
      calls += 1;
      await call(calls);
      const after = performance.now();
      latencies.record(Math.max(1, Math.round((after - before) * 1_000_000)));
      before = after;
    }
  };
  await Promise.all(callers.map(work));
  const seconds = (performance.now() - start) / 1_000;
  await Promise.all(callers.map(({ close }) => close()));
  return { calls, seconds, p50: latencies.percentile(50) / 1_000, p99: latencies.percentile(99) / 1_000 };
}

process.on('message', (round: Round) => {
  run(round).then(
    (measured) => process.send?.({ measured } satisfies Outcome),
    (error: unknown) => process.send?.({ failed: String(error) } satisfies Outcome),
  );
});
process.once('disconnect', () => process.exit(0));
