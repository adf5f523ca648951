// Thousands of states that are not what the gateway sealed for this call, each sent as the retry of a call that waits.
import { randomBytes } from 'node:crypto';
import type { Target } from '../../../src/core/call.ts';
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import { type RequestState, RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { makeCall } from '../../audit/bare-call.ts';
import { temporaryFolder } from '../../storage/temporary.ts';
import { type Askers, type Given, inParallel, retry, WISHES, type Wish } from './askers.ts';
import { BOB } from './principals.ts';
import { mutationsOf } from './state-mutations.ts';

/** How many are in flight at a time. */
const AT_ONCE = 16;
const OTHERS: readonly (keyof typeof WISHES)[] = [
  'otherTool',
  'elsewhere',
  'otherArguments',
  'prompt',
  'resource',
  'stateless',
];

interface Attempt {
  readonly what: string;
  readonly wish: Wish;
}

export interface Theft {
  readonly attempts: number;
  /** What was not refused as a state that is none; holds the first few. */
  readonly accepted: string[];
  /** The answers that came, each once: they may not tell one reason from another. */
  readonly answers: ReadonlySet<string>;
  /** Calls and answers that servers were sent meanwhile. */
  readonly reached: number;
  /** How many refusals stand in the log. */
  readonly recorded: number;
  /** What those were told whose states these were, when they came back with them. */
  readonly owners: readonly Given[];
}

/** Makes calls of two principals wait, sends `count` wrong states, and lets the calls be answered. */
export async function stealStates(askers: Askers, count: number): Promise<Theft> {
  const [parked, second, bobs] = [
    await askers.asked(WISHES.form),
    await askers.asked(WISHES.form),
    await askers.asked({ ...WISHES.form, token: BOB }),
  ];
  const stateless = await askers.asked(WISHES.stateless);
  const attempts = [
    ...(await thefts(askers, { parked, bobs, stateless })),
    ...(await replays(askers)),
    ...mutationsOf(stateless, parked, 0).map((state) => ({ what: state, wish: retry(WISHES.stateless, state) })),
  ];
  const rest = mutationsOf(parked, second, count - attempts.length);
  attempts.push(...rest.map((state) => ({ what: state, wish: retry(WISHES.form, state) })));

  const [reached, recorded] = [askers.reached(), await refusals(askers)];
  const answers = await inParallel(attempts, AT_ONCE, ({ wish }) => askers.send(wish));
  const accepted = attempts.flatMap(({ what }, index) => (isStale(answers[index]) ? [] : [what]));
  return {
    attempts: attempts.length,
    accepted: accepted.slice(0, 10),
    answers: new Set(answers.map(({ text }) => text)),
    reached: askers.reached() - reached,
    recorded: (await refusals(askers)) - recorded,
    owners: await Promise.all([
      askers.send(retry(WISHES.form, parked)),
      askers.send(retry(WISHES.form, second)),
      askers.send(retry({ ...WISHES.form, token: BOB }, bobs)),
      askers.send(retry(WISHES.stateless, stateless)),
    ]),
  };
}

function isStale(given: Given | undefined): boolean {
  return given?.status === 400 && given.error.code === -32602;
}

/** States that are whole, in the hands of others, for other calls, too old, or sealed by others. */
async function thefts(
  askers: Askers,
  { parked, bobs, stateless }: { parked: string; bobs: string; stateless: string },
): Promise<Attempt[]> {
  const { form } = WISHES;
  const foreign = await Promise.all(OTHERS.map(async (other) => ({ other, state: await askers.asked(WISHES[other]) })));
  return [
    { what: "another principal's", wish: retry({ ...form, token: BOB }, parked) },
    { what: "another principal's, the other way", wish: retry(form, bobs) },
    { what: "another principal's stateless one", wish: retry({ ...WISHES.stateless, token: BOB }, stateless) },
    ...foreign.flatMap(({ other, state }) => [
      { what: `that of ${other}`, wish: retry(form, state) },
      { what: `for ${other}`, wish: retry(WISHES[other], parked) },
      { what: `that of ${other}, of another principal`, wish: retry({ ...WISHES[other], token: BOB }, state) },
    ]),
    ...forgeries(askers, { parked, stateless }),
  ];
}

/** Sealed with the gateway's own keys, but too old or of a call that never was; and with keys of another gateway. */
function forgeries({ gateway }: Askers, { parked, stateless }: { parked: string; stateless: string }): Attempt[] {
  const own = new RequestStates(new Keyring(gateway.state));
  const others = new RequestStates(new Keyring(temporaryFolder()));
  const [form, at] = [sealer(WISHES.form, 't'), sealer(WISHES.stateless, 'm')];
  const nobodys = { parked: { key: randomBytes(16).toString('base64url'), round: 1 } };
  return [
    ...[1, 60_000, 60 * 60_000].flatMap((ms) => [
      { what: `expired ${ms} ms ago`, wish: form.again(own, { ...form.inside(own, parked), until: Date.now() - ms }) },
      {
        what: `of a modern server, expired ${ms} ms ago`,
        wish: at.again(own, { ...at.inside(own, stateless), until: Date.now() - ms }),
      },
    ]),
    { what: 'of a call that never was', wish: form.again(own, nobodys) },
    { what: "another gateway's", wish: form.again(others, form.inside(own, parked)) },
    { what: "another gateway's, of a modern server", wish: at.again(others, at.inside(own, stateless)) },
  ];
}

/** Seals and opens states of a principal's wish at a tool as the gateway does; `until` inside takes the place of the gateway's own. */
export function sealer(wish: Wish, server: string, principal = 'alice') {
  const target: Target = { kind: 'tool', server, exposed: `${server}__form`, original: 'form' };
  const callOf = (params: JsonObject) => makeCall({ principal: { ...makeCall().principal, id: principal }, params });
  return {
    inside: (states: RequestStates, state: string): RequestState =>
      states.open(callOf({ ...wish.params, requestState: state }), target) ?? {},
    again: (states: RequestStates, inside: RequestState & { readonly until?: number }): Wish =>
      retry(wish, states.seal(callOf(wish.params), target, inside)),
  };
}

/** Rounds of a call that has gone on: the recent ones with other answers, and those that are forgotten with the same. */
async function replays(askers: Askers): Promise<Attempt[]> {
  const states = [await askers.asked(WISHES.rounds)];
  for (let round = 1; round < 12; round++) {
    const { result } = await askers.send(answered(states.at(-1) ?? '', round));
    states.push(typeof result.requestState === 'string' ? result.requestState : '');
  }
  const recent = states.slice(1, -1).map((state, index) => ({
    what: `round ${index + 2} with other answers`,
    wish: answered(state, 100),
  }));
  return [...recent, { what: 'a round that is forgotten', wish: answered(states[0] ?? '', 1) }];
}

const answered = (state: string, round: number): Wish => {
  const answer = { action: 'accept', content: { name: `${round}` } };
  const keys = Array.from({ length: 12 }, (_, index) => [`q${index + 1}`, answer] as const);
  const { params } = WISHES.rounds;
  return { params: { ...params, requestState: state, inputResponses: Object.fromEntries(keys) } };
};

/** How many calls the log says were refused for their params. */
async function refusals({ gateway }: Askers): Promise<number> {
  const { stdout } = await gateway.cli('audit', 'query', '--json', '--status', 'refused', '--limit', '1000000');
  const rows = stdout.split('\n').filter((line) => line !== '');
  return rows.filter((row) => {
    const value: unknown = JSON.parse(row);
    return isObject(value) && value.error === 'invalid_params';
  }).length;
}
