// Random input from servers, in the amount that a check has time for (more: test/long/fuzz.test.ts).
import { expect, test } from 'vitest';
import { fuzzChannel, fuzzExchange, fuzzHandshake } from './fuzz.ts';

test('10,000 random lines on a channel never throw, and never give a call what is another’s', async () => {
  expect(await fuzzChannel(10_000)).toBeGreaterThanOrEqual(10_000);
});

test('a random HTTP response ends its exchange once, and throws nothing', () => fuzzExchange(500));

test('a random handshake ends well or with an error that says why, in few words', () => fuzzHandshake(500));
