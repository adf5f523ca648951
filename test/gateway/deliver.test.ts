// Every call is settled before its caller gets the last frame, for every kind of reply and every way to end.
import { expect, test, vi } from 'vitest';
import { Cancellation } from '../../src/core/cancellation.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { ownExchange } from '../../src/core/exchange.ts';
import type { JsonValue } from '../../src/core/json.ts';
import { type EndReason, type FinalReply, OfferedList, type Reply, type StreamReply } from '../../src/core/reply.ts';
import { deliver, type Sink } from '../../src/gateway/pipeline.ts';
import { makeCall, makeContext } from '../audit/bare-call.ts';
import { makeReply } from '../audit/calls.ts';
import type { Settlement } from '../../src/core/call-context.ts';

const UNAVAILABLE = new GatewayError('audit_unavailable', 'no disk');

/** A call, whoever listens to its end, and everything that happens to it in order. */
function world({ settling, frames = true }: { settling?: () => Promise<void>; frames?: boolean } = {}) {
  const events: string[] = [];
  const [caller, ending] = [new Cancellation(), new Cancellation()];
  const call = makeCall({ exchange: ownExchange(caller) });
  const ctx = makeContext();
  const settlements: Settlement[] = [];
  ctx.onSettled(async (settlement) => {
    settlements.push(settlement);
    await new Promise(setImmediate);
    await settling?.();
    events.push(`settled ${settlement.status}`);
  });
  const sink: Sink<FinalReply | GatewayError> = {
    ...(frames && {
      frame: (frame: JsonValue) => {
        events.push(`frame ${JSON.stringify(frame)}`);
      },
    }),
    end: (reply) => {
      events.push(`end ${reply.kind}`);
      return reply;
    },
    fail: (error) => {
      events.push(`fail ${error.code}`);
      return error;
    },
  };
  const run = (handle: () => Promise<Reply>) => deliver(call, { ctx, handle, ending, sink });
  return { run, events, settlements, caller, ending, ctx };
}

/** Frames that come when they are let, and end with this reply, or well-formed when they are told to. */
function stream(last: FinalReply = makeReply()) {
  const ends: EndReason[] = [];
  const end = Promise.withResolvers<FinalReply>();
  const started = Promise.withResolvers<undefined>();
  const reply: StreamReply = {
    kind: 'stream',
    pipe: async (send) => {
      await send('one');
      await send('two');
      started.resolve(undefined);
      return end.promise;
    },
    end: (reason) => {
      ends.push(reason);
      end.resolve({ kind: 'result', result: { ended: reason } });
    },
  };
  return { reply, ends, started: started.promise, finish: () => end.resolve(last), fail: end.reject };
}

test.each<FinalReply>([
  makeReply(),
  { kind: 'error', error: { code: -32602, message: 'no' } },
  { kind: 'list', of: 'tool', list: new OfferedList([]), isPrivate: false },
])('a call that is answered is settled, and then its caller gets the answer: $kind', async (reply) => {
  const { run, events, settlements } = world();

  expect(await run(() => Promise.resolve(reply))).toBe(reply);
  const status = reply.kind === 'error' ? 'protocol_error' : 'ok';
  expect(events).toEqual([`settled ${status}`, `end ${reply.kind}`]);
  expect(settlements).toEqual([{ status, reply, origin: reply.origin }]);
});

test('a call that fails is settled, and then its caller is told why', async () => {
  const { run, events } = world();
  const failure = new GatewayError('upstream_timed_out', 'x');

  expect(await run(() => Promise.reject(failure))).toBe(failure);
  expect(events).toEqual(['settled timed_out', 'fail upstream_timed_out']);
});

test('any thrown value becomes a GatewayError, and a stage may throw synchronously', async () => {
  const { run, events, settlements } = world();
  const bug = new Error('password is hunter2');

  const told = await run(() => {
    throw bug;
  });
  expect(told).toMatchObject({ code: 'internal', cause: bug });
  expect(JSON.stringify(told)).not.toContain('hunter2');
  expect(settlements).toMatchObject([{ status: 'unknown', failure: told }]);
  expect(events).toEqual(['settled unknown', 'fail internal']);
});

test('the frames of a stream come first, its last only after the settlement', async () => {
  const { run, events, settlements } = world();
  const { reply, ends, started, finish } = stream();
  const running = run(() => Promise.resolve(reply));
  await started;
  expect(events).toEqual(['frame "one"', 'frame "two"']);
  expect(settlements).toEqual([]);
  finish();

  expect(await running).toEqual(makeReply());
  expect(events).toEqual(['frame "one"', 'frame "two"', 'settled ok', 'end result']);
  expect(ends).toEqual([]);
});

test('a stream ends well-formed when calls are cut short, and the record says that it was', async () => {
  const { run, events, settlements, ending } = world();
  const { reply, ends, started } = stream();
  const running = run(() => Promise.resolve(reply));
  await started;
  ending.abort();

  expect(await running).toEqual({ kind: 'result', result: { ended: 'shutdown' } });
  expect(ends).toEqual(['shutdown']);
  expect(events.slice(2)).toEqual(['settled unknown', 'end result']);
  expect(settlements[0]?.failure).toMatchObject({ code: 'gateway_closed' });
});

test('a stream whose caller cancels is ended and recorded as cancelled, though it never comes to its last frame', async () => {
  const { run, events, caller } = world();
  const { reply, started } = stream();
  const ends: EndReason[] = [];
  const running = run(() => Promise.resolve({ ...reply, end: (reason: EndReason) => void ends.push(reason) }));
  await started;
  caller.abort();

  expect(await running).toMatchObject({ code: 'cancelled' });
  expect(ends).toEqual(['cancelled']);
  expect(events.slice(2)).toEqual(['settled cancelled', 'fail cancelled']);
});

test('a stream that begins after its caller cancelled is ended at once, and a stream that has ended is not ended again', async () => {
  const { run, caller, ending } = world();
  const { reply, ends } = stream();
  caller.abort();
  await run(() => Promise.resolve(reply));
  ending.abort();

  expect(ends).toEqual(['cancelled']);
});

test('a stream that fails is settled as failed, and its last frame is the error', async () => {
  const { run, events, caller, ending } = world();
  const { reply, ends, started, fail } = stream();
  const running = run(() => Promise.resolve(reply));
  await started;
  fail(new GatewayError('upstream_closed', 'it went away'));

  expect(await running).toMatchObject({ code: 'upstream_closed' });
  expect(events.slice(2)).toEqual(['settled unknown', 'fail upstream_closed']);
  caller.abort();
  ending.abort();
  expect(ends).toEqual([]);
});

test('a stream for a sink without frames fails as internal, and is not piped', async () => {
  const { run, events } = world({ frames: false });
  const { reply } = stream();
  const pipe = vi.spyOn(reply, 'pipe');

  expect(await run(() => Promise.resolve(reply))).toMatchObject({ code: 'internal' });
  expect(events).toEqual(['settled unknown', 'fail internal']);
  expect(pipe).not.toHaveBeenCalled();
});

test.each<[string, () => Promise<Reply>]>([
  ['an answer', () => Promise.resolve(makeReply())],
  ['an error', () => Promise.reject(new GatewayError('upstream_closed', 'x'))],
  [
    'a stream',
    () => {
      const { reply, finish } = stream();
      finish();
      return Promise.resolve(reply);
    },
  ],
])('%s that cannot be recorded is not given out: the last frame says so', async (_what, handle) => {
  const { run, events } = world({ settling: () => Promise.reject(UNAVAILABLE) });

  expect(await run(handle)).toBe(UNAVAILABLE);
  expect(events.filter((event) => !event.startsWith('frame'))).toEqual(['fail audit_unavailable']);
});

test('a failure of the sink at the last frame does not settle the call twice', async () => {
  const { ctx, caller } = world();
  const sink: Sink<never> = {
    end: () => {
      throw new Error('it cannot be written');
    },
    fail: () => {
      throw new Error('nobody fails here');
    },
  };
  let settled = 0;
  ctx.onSettled(() => {
    settled++;
  });
  const handle = () => Promise.resolve(makeReply());

  await expect(deliver(makeCall(), { ctx, handle, ending: caller, sink })).rejects.toThrow('it cannot be written');
  expect(settled).toBe(1);
});
