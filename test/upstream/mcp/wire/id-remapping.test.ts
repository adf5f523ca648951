// Each side has ids of the gateway: whatever ids clients and servers use, an answer reaches only the call that it belongs to.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import type { Exchange } from '../../../../src/core/exchange.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import { OpenRequests } from '../../../../src/downstream/mcp/open-requests.ts';
import { Redaction } from '../../../../src/upstream/mcp/redaction.ts';
import { Channel } from '../../../../src/upstream/mcp/wire/channel.ts';
import { Deadlines } from '../../../../src/upstream/mcp/wire/pending.ts';

interface Sent {
  readonly id: number;
  readonly params: { readonly of: number; readonly _meta?: { readonly progressToken?: number } };
}

function openChannel() {
  const sent: Sent[] = [];
  const diagnostics: string[] = [];
  const channel = new Channel({
    server: 's',
    maxItems: 100_000,
    deadlines: new Deadlines(),
    redaction: new Redaction([]),
    events: {
      notification: () => undefined,
      closed: () => undefined,
      missed: () => undefined,
      serverRequest: () => Promise.reject(new Error('nothing is asked')),
      log: () => undefined,
      diagnostic: (what) => diagnostics.push(what),
    },
    source: 'stdout',
    aliveMs: 1_000,
    send: (text) => void sent.push(JSON.parse(text) as Sent),
    giveUp: () => undefined,
  });
  const receive = (message: JsonObject) => void channel.receive(JSON.stringify({ jsonrpc: '2.0', ...message }));
  return { channel, sent, diagnostics, receive };
}

/** How a server writes the id of an answer: correctly, or as a similar value. */
const spelling = fc.constantFrom<(id: number) => string | number>(
  (id) => id,
  (id) => String(id),
  (id) => -id,
  (id) => id + 0.5,
  (id) => id % 2 ** 20,
  (id) => ` ${id}`,
);

test('every request gets its own answer and progress, however the answers are ordered, repeated and misspelt', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }).chain((count) => {
        const which = fc.nat(count - 1);
        return fc.record({
          count: fc.constant(count),
          order: fc.shuffledSubarray(
            Array.from({ length: count }, (_, index) => index),
            { minLength: count, maxLength: count },
          ),
          wrong: fc.array(fc.tuple(which, spelling), { maxLength: 20 }),
          repeated: fc.array(which, { maxLength: 5 }),
        });
      }),
      async ({ count, order, wrong, repeated }) => {
        const { channel, sent, receive } = openChannel();
        const progress: unknown[][] = Array.from({ length: count }, () => []);
        const replies = Array.from({ length: count }, (_, of) => {
          const exchange = {
            signal: new Cancellation().signal,
            wantsProgress: true,
            progress: ({ of: whose }: JsonObject) => progress[of]?.push(whose),
          } as unknown as Exchange;
          return channel.request({ method: 'tools/call', params: { of }, totalMs: Infinity, exchange });
        });
        const answer = (index: number, id: string | number) => receive({ id, result: { of: index } });
        expect(new Set(sent.map(({ id }) => id)).size).toBe(count);

        for (const [index, spelt] of wrong) {
          const { id } = sent[index]!;
          if (spelt(id) !== id) answer(-1, spelt(id));
        }
        for (const { params } of sent.toReversed())
          receive({
            method: 'notifications/progress',
            params: { progressToken: params._meta?.progressToken ?? '', progress: 1, of: params.of },
          });
        for (const index of order) answer(index, sent[index]!.id);
        for (const index of repeated) answer(-1, sent[index]!.id);
        // slots are reused: an old id does not answer a later call
        const next = channel.request({ method: 'tools/call', params: { of: count }, totalMs: Infinity });
        for (const index of order) answer(-1, sent[index]!.id);
        answer(count, sent.at(-1)!.id);

        expect((await Promise.all([...replies, next])).map(({ result }) => result?.of)).toEqual(
          Array.from({ length: count + 1 }, (_, index) => index),
        );
        expect(progress).toEqual(Array.from({ length: count }, (_, index) => [index]));
      },
    ),
    { numRuns: 500 },
  );
});

const clientId = fc.constantFrom<string | number>(
  0,
  -0,
  1,
  -1,
  1.5,
  2 ** 53,
  '0',
  '1',
  '-1',
  '',
  ' 1',
  '1.5',
  '__proto__',
);
const step = fc.record({ does: fc.constantFrom('begin', 'finish', 'cancel'), id: clientId });

test('ids of clients are told apart by type and value: a number is never the text that looks like it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const open = new OpenRequests();
      const model = new Map<string | number, Cancellation>(); // by value and type, and 0 is -0
      for (const { does, id } of steps) {
        if (does === 'begin') {
          if (model.has(id)) expect(() => open.begin(id)).toThrow('is still in flight');
          else model.set(id, open.begin(id));
        } else if (does === 'finish') {
          open.finish(id);
          model.delete(id);
        } else {
          const before = [...model].filter(([other]) => other !== id).map(([, { aborted }]) => aborted);
          open.cancel(id);
          if (model.has(id)) expect(model.get(id)?.aborted).toBe(true);
          expect([...model].filter(([other]) => other !== id).map(([, { aborted }]) => aborted)).toEqual(before);
        }
        expect(open.size).toBe(model.size);
      }
    }),
    { numRuns: 1_000 },
  );
});
