// The reader of the log finds every call that changed its era on the way, and is not content with a log that shows nothing.
import { expect, test } from 'vitest';
import type { Era } from '../../src/core/call.ts';
import { type SidesOfCall, wrongAmong } from './records.ts';

const call = (client: Era, server?: Era, method = 'tools/call'): SidesOfCall => ({
  method,
  downstream: { era: client, transport: 'streamable-http' },
  upstream: server && { era: server, transport: 'streamable-http' },
});

test('calls of both eras that kept theirs are as they must be, and so is one that reached no server', () => {
  expect(wrongAmong([call('legacy', 'legacy'), call('modern', 'modern'), call('legacy')])).toEqual([]);
});

test('a call with another era at its server than at its client is told of by its method, however few there are', () => {
  const kept = [call('legacy', 'legacy'), call('modern', 'modern')];
  const mixed = [call('legacy', 'modern'), call('legacy', 'modern'), call('modern', 'legacy', 'prompts/get')];

  expect(wrongAmong([...kept, ...mixed])).toEqual([
    'tools/call: legacy at its client, modern at its server (records: 2)',
    'prompts/get: modern at its client, legacy at its server (records: 1)',
  ]);
});

test('an era in which no call reached the server is missed', () => {
  expect(wrongAmong([call('modern', 'modern'), call('legacy')])).toEqual([
    'none of 1 calls reached the server in the legacy era',
  ]);
});
