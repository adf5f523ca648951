// Batches with large answers: the client gets the answers that fit, and errors for the others.
import { afterEach, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { openSession, send } from '../../integration/harness/raw.ts';
import { argumentsOf, said, startFront, type StubFront } from '../front.ts';

let front: StubFront;
afterEach(() => front.close());

interface Answered {
  readonly id: number;
  readonly result?: { readonly content: readonly { readonly text: string }[] };
  readonly error?: JsonObject;
}

/** Calls with answers of these lengths, in this order. */
async function answersTo(...sizes: readonly number[]): Promise<readonly Answered[]> {
  let before = Promise.resolve();
  front = await startFront(async (request) => {
    const turn = before;
    const over = Promise.withResolvers<void>();
    before = over.promise;
    await turn;
    setImmediate(over.resolve);
    return said('x'.repeat(Number(argumentsOf(request).size)));
  });
  const session = await openSession(front.origin, { version: '2025-03-26' });
  const calls = sizes.map((size, id) => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 't', arguments: { size } },
  }));
  const { text } = await send(front.origin, { ...session.request('ping'), body: JSON.stringify(calls) });
  return JSON.parse(text.startsWith('[') ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? '')) as Answered[];
}

const MIB = 1024 * 1024;

test('of answers that together are too much for one response each that fits is given, and the others are errors', async () => {
  const answers = await answersTo(30 * MIB, 30 * MIB, 30 * MIB, 1);

  expect(answers.map(({ result }) => result?.content[0]?.text.length)).toEqual([30 * MIB, 30 * MIB, undefined, 1]);
  expect(answers[2]).toMatchObject({ id: 2, error: { code: -33021, data: { reason: 'answer_too_large' } } });
});

test('a single answer may be larger than that', async () => {
  const answers = await answersTo(65 * MIB, 1);

  expect(answers.map(({ result }) => result?.content[0]?.text.length)).toEqual([65 * MIB, undefined]);
});
