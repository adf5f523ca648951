// The progress that a caller gets only rises, also when the server counts anew.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { CallerExchange } from '../../../src/downstream/mcp/exchange.ts';

function caller() {
  const heard: JsonObject[] = [];
  const exchange = new CallerExchange({
    signal: new Cancellation(),
    capabilities: {},
    progressToken: 'mine',
    send: (text) => heard.push((JSON.parse(text) as { params: JsonObject }).params) > 0,
  });
  return { exchange, heard };
}

test('rounds that each count from one are one count for the caller', () => {
  const { exchange, heard } = caller();
  for (let round = 0; round < 3; round++)
    for (let step = 1; step <= 3; step++) exchange.progress({ progress: step, total: 3, message: `step ${step}` });

  expect(heard.map(({ progress, total }) => [progress, total])).toEqual([
    ...[1, 2, 3].map((step) => [step, 3]),
    ...[4, 5, 6].map((step) => [step, 6]),
    ...[7, 8, 9].map((step) => [step, 9]),
  ]);
  expect(heard.at(-1)).toEqual({ progress: 9, total: 9, message: 'step 3', progressToken: 'mine' });
});

test('what begins with nothing says so, and news without progress still rise', () => {
  const { exchange, heard } = caller();
  for (const progress of [0, 1e12, 1e12, 0, 5]) exchange.progress({ progress });

  const received = heard.map(({ progress }) => progress as number);
  expect(received.slice(0, 2)).toEqual([0, 1e12]);
  for (let index = 1; index < received.length; index++)
    expect(received[index]).toBeGreaterThan(received[index - 1] ?? NaN);
});

test('whatever numbers a server sends, each that is told is more than the one before', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.float(), fc.constant('x'))), (sent) => {
      const { exchange, heard } = caller();
      for (const progress of sent) exchange.progress({ progress });
      let last = -Infinity;
      for (const { progress } of heard) {
        if (typeof progress !== 'number' || !(progress > last)) return false;
        last = progress;
      }
      return heard.length === sent.length;
    }),
  );
});
