// Many retries at once with one state of a call that waits: the first decides what its server is told.
import type { JsonObject } from '../../../src/core/json.ts';
import { ADA, type Askers, type Given, retry, type Wish } from './askers.ts';
import { toldIn } from './asking.ts';

export interface Race {
  /** How often the server was given answers. */
  readonly answersGiven: number;
  /** The outcomes of those who answered as the first did, each once. */
  readonly winners: ReadonlySet<string>;
  readonly won: number;
  /** Those who answered otherwise and were refused for it. */
  readonly refused: number;
  /** What is neither. */
  readonly others: readonly string[];
  /** What a retry with the winner's answers gets afterwards. */
  readonly again: string;
}

/** Lets `count` retries run with one state; half of them say the same, every other one something of its own. */
export async function raceState(askers: Askers, count: number): Promise<Race> {
  const wish: Wish = { params: { name: 't__form', arguments: { race: count, at: Date.now() } } };
  const state = await askers.asked(wish);
  const before = answersIn(askers);
  const entries = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const mine: JsonObject =
        index % 2 === 0 ? ADA : { action: 'accept', content: { name: `number ${index - (index % 4)}` } };
      return { mine, given: await askers.send(retry(wish, state, mine)) };
    }),
  );
  const first = entries.find(({ given }) => given.status === 200)?.mine ?? {};
  const winners = entries.filter(({ mine, given }) => given.status === 200 && same(toldIn(given.result), mine));
  const refused = entries.filter(({ mine, given }) => isRefused(given) && !same(mine, first));
  const settled = new Set([...winners, ...refused]);
  return {
    answersGiven: answersIn(askers) - before,
    winners: new Set(winners.map(({ given }) => given.text)),
    won: winners.length,
    refused: refused.length,
    others: entries.filter((entry) => !settled.has(entry)).map(({ given }) => given.text),
    again: (await askers.send(retry(wish, state, first))).text,
  };
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

const isRefused = ({ status, error }: Given): boolean => status === 400 && error.code === -32602;

const answersIn = ({ legacy }: Askers): number =>
  legacy.seen.filter(({ http, rpc }) => http === 'POST' && rpc === '').length;
