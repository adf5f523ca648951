// Rounds of load against several contenders in turn, so that the drift of the machine falls on all of them alike.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpuMicros, family } from './cpu.ts';
import type { Subject } from './exchange.ts';
import type { Measured, Outcome, Round } from './load.ts';
import { path, tie } from './process.ts';

/** Somebody to be measured. */
export interface Contender {
  readonly name: string;
  readonly subject: Subject;
  /** The process whose CPU time is counted, with all below it. */
  readonly pid: number;
  /** Count only this process with its threads: what is below it is the upstream. */
  readonly alone?: boolean;
  /** How many requests a call takes, each of which is recorded; one unless told otherwise. */
  readonly requests?: number;
}

/** What one round of one contender cost. */
export interface Sample extends Measured {
  /** CPU microseconds per call. */
  readonly cpu: number;
}

/** The samples of one contender at one number of connections. */
export interface Series {
  readonly name: string;
  readonly connections: number;
  readonly samples: readonly Sample[];
}

export interface Plan {
  readonly connections: readonly number[];
  readonly rounds: number;
  readonly milliseconds: number;
  readonly warmup: number;
}

/** The load generator's process and how many requests it has made by contender. */
export class Load implements Disposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Outcome>;
  readonly #calls = new Map<string, number>();

  constructor() {
    this.#child = tie(fork(path('bench/load.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
    this.#ended = once(this.#child, 'exit').then(() => ({ failed: 'the load generator ended' }));
  }

  /** How many requests have been answered. */
  total(): number {
    return [...this.#calls.values()].reduce((sum, calls) => sum + calls, 0);
  }

  /** Leaves the calls to these contenders out of the total. */
  forget(...names: string[]): void {
    for (const name of names) this.#calls.delete(name);
  }

  /** Runs one round; throws if any answer was wrong. */
  async run({ name, subject, requests = 1 }: Contender, round: Omit<Round, 'subject'>): Promise<Measured> {
    const answered = (once(this.#child, 'message') as Promise<[Outcome]>).then(([outcome]) => outcome);
    this.#child.send({ subject, ...round } satisfies Round);
    const outcome = await Promise.race([answered, this.#ended]);
    if ('failed' in outcome) throw new Error(`${name} at ${round.connections} connections: ${outcome.failed}`);
    this.#calls.set(name, (this.#calls.get(name) ?? 0) + outcome.measured.calls * requests);
    return outcome.measured;
  }

  [Symbol.dispose](): void {
    this.#child.disconnect();
  }
}

async function sample(load: Load, contender: Contender, round: Omit<Round, 'subject'>): Promise<Sample> {
  const pids = contender.alone ? [contender.pid] : family(contender.pid);
  const before = cpuMicros(pids);
  const measured = await load.run(contender, round);
  return { ...measured, cpu: (cpuMicros(pids) - before) / measured.calls };
}

/** Warms every contender up, then measures them in turn, round by round. */
export async function compete(load: Load, contenders: readonly Contender[], plan: Plan): Promise<Series[]> {
  for (const contender of contenders) {
    await load.run(contender, { connections: Math.max(...plan.connections), milliseconds: plan.warmup });
  }
  const found: { name: string; connections: number; samples: Sample[] }[] = [];
  for (const connections of plan.connections) {
    const series = contenders.map(({ name }) => ({ name, connections, samples: [] as Sample[] }));
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const [index, contender] of contenders.entries()) {
        series[index]?.samples.push(await sample(load, contender, { connections, milliseconds: plan.milliseconds }));
      }
    }
    found.push(...series);
  }
  return found;
}

/** The median; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
