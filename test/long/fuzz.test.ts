// Random input from servers, for as long as it takes to believe it.
import { expect, test } from 'vitest';
import { fuzzChannel, fuzzExchange, fuzzHandshake } from '../upstream/mcp/fuzz.ts';

test('10,000,000 random lines on a channel never throw, and never give a call what is another’s', async () => {
  expect(await fuzzChannel(10_000_000)).toBeGreaterThanOrEqual(10_000_000);
});

test('a random HTTP response ends its exchange once, and throws nothing', () => fuzzExchange(500_000));

test('a random handshake ends well or with an error that says why, in few words', () => fuzzHandshake(500_000));
