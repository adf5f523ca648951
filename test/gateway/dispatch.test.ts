// A caller that wants progress gets heartbeats while its call is silent; other callers get none.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../src/core/cancellation.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { CallerExchange } from '../../src/downstream/mcp/exchange.ts';
import { Heartbeats } from '../../src/gateway/dispatch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function callOf(progressToken?: string) {
  const heard: JsonObject[] = [];
  const answer = Promise.withResolvers<string>();
  const exchange = new CallerExchange({
    signal: new Cancellation(),
    capabilities: {},
    ...(progressToken !== undefined && { progressToken }),
    send: (text) => {
      const { params } = JSON.parse(text) as { params: JsonObject };
      heard.push(params);
      return true;
    },
  });
  const running = new Heartbeats().during(exchange, answer.promise);
  return { exchange, heard, answer, running };
}

test('the caller of a silent call gets a heartbeat twice a minute, with ever more progress', async () => {
  const { heard, answer, running } = callOf('mine');
  vi.advanceTimersByTime(24_999);
  expect(heard).toEqual([]);
  vi.advanceTimersByTime(95_001);
  answer.resolve('done');
  expect(await running).toBe('done');
  vi.advanceTimersByTime(120_000);

  expect(heard.length).toBe(4);
  expect(heard[0]).toEqual({ progressToken: 'mine', progress: 1e-6, message: 'Still working after 30 s.' });
  const progress = heard.map((each) => Number(isObject(each) && each.progress));
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
  expect(new Set(progress).size).toBe(4);
});

test('a call with progress of its server gets no heartbeat until it falls silent, and its progress continues from there', () => {
  const { exchange, heard } = callOf('mine');
  for (let step = 1; step <= 5; step++) {
    vi.advanceTimersByTime(20_000);
    exchange.progress({ progress: step, total: 5 });
  }
  expect(heard.map(({ progress }) => progress)).toEqual([1, 2, 3, 4, 5]);
  vi.advanceTimersByTime(30_000);

  expect(heard.at(-1)).toMatchObject({ progress: 5.000001 });
});

test('a caller without a progress token gets no heartbeat, and no timer runs for it', () => {
  const { heard } = callOf();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(120_000);

  expect(heard).toEqual([]);
});
