// When the gateway takes a process for hung: unanswered pings, stopped clocks, and how long a call may be silent.
import { describe, expect, test } from 'vitest';
import { tellTestsApart } from '../../../apart.ts';
import { call, caller, type Peer, peer } from '../peers.ts';

tellTestsApart();

const pings = ({ sent }: Peer) => sent.all.filter(({ method }) => method === 'ping');
const FOREVER = { firstByte: Infinity, idle: Infinity };

/** A legacy process after the handshake, which has answered its first ping with this. */
async function greeted(answer: object | undefined, ping = 300): Promise<Peer> {
  const there = await peer('stdio', { timeouts: { ...FOREVER, ping } });
  there.wire.adopt({ era: 'legacy', version: '2025-06-18' });
  await there.wire.notify('notifications/initialized', {});
  const { id = 0 } = await there.sent.first(({ method }) => method === 'ping');
  if (answer) there.say({ id, ...answer });
  return there;
}

/** Resolves when a call that gets no answer has timed out, as a measure of time. */
async function passed(there: Peer, ms: number): Promise<void> {
  const { reply } = await call(there, caller(), { name: `for ${ms} ms`, totalMs: ms });
  await expect(reply).rejects.toMatchObject({ code: 'upstream_timed_out' });
}

describe.concurrent('A process that has answered a ping', () => {
  test('is asked only when a call has been silent, and is taken for hung where it does not answer', async () => {
    const there = await greeted({ result: {} }, 900);
    const { reply } = await call(there, caller());

    await expect(reply).rejects.toMatchObject({
      code: 'upstream_timed_out',
      message: expect.stringMatching(
        /taken for hung .* left a ping unanswered for 0\.9 s \(timeouts\.ping\)/,
      ) as string,
    });
    expect(pings(there)).toHaveLength(2);
    expect(await there.report.ends.first(() => true)).toContain('taken for hung');
  });

  test('may be silent for as long as it answers: its calls have their total', async () => {
    const there = await greeted({ result: {} });
    void there.sent.first((message) => {
      if (message.method === 'ping' && message.id !== undefined) there.say({ id: message.id, result: {} });
      return false;
    });

    await passed(there, 1_800);

    expect(pings(there).length).toBeGreaterThan(2);
    expect(there.report.ends.all).toEqual([]);
  });

  test('is not taken for hung while it says anything at all', async () => {
    const there = await greeted({ result: {} });
    const voice = setInterval(
      () => there.say({ method: 'notifications/message', params: { level: 'info', data: 'busy' } }),
      50,
    );

    await passed(there, 900);
    clearInterval(voice);

    expect(there.report.ends.all).toEqual([]);
  });

  test('is not taken for hung while a question of it is with a client', async () => {
    const there = await greeted({ result: {} }, 150);
    const { reply } = await call(there, caller());
    there.say({ id: 'q', method: 'elicitation/create', params: {} });
    const question = await there.report.requests.first(() => true);

    await passed(there, 900);
    await passed(there, 400); // longer than the ping that follows the one before
    expect(there.report.ends.all).toEqual([]);
    question.answer({ result: { action: 'accept' } });

    await expect(reply).rejects.toMatchObject({
      message: expect.stringMatching(/taken for hung|no longer answers/) as string,
    });
  });

  test('is not asked while nobody calls', async () => {
    const there = await greeted({ result: {} }, 60);

    await expect(
      there.wire.request({ method: 'tools/list', params: {}, totalMs: 600 }), // the gateway's own
    ).rejects.toMatchObject({ code: 'upstream_timed_out' });

    expect(pings(there)).toHaveLength(1);
  });
});

test.concurrent(
  'a process whose first call keeps it from answering its first ping in time is watched once it has answered',
  async () => {
    const there = await greeted(undefined, 100);
    await expect(
      there.wire.request({ method: 'tools/list', params: {}, totalMs: 700 }), // the ping waits for longer than its limit
    ).rejects.toMatchObject({ code: 'upstream_timed_out' });
    const first = pings(there)[0];
    there.say({ id: first?.id, result: {} });

    const { reply } = await call(there, caller());

    await expect(reply).rejects.toMatchObject({ message: expect.stringContaining('taken for hung') as string });
  },
);

test.concurrent(
  'a process that ends during a call, before it has answered its first ping, has not ended on the ping',
  async () => {
    const calling = await greeted(undefined);
    const { reply } = await call(calling, caller());
    calling.hangUp();
    await expect(reply).rejects.toMatchObject({ code: 'upstream_closed' });
    const idle = await greeted(undefined);
    idle.hangUp();
    await idle.report.ends.first(() => true);

    expect(calling.report.unpinged).toBe(0);
    expect(idle.report.unpinged).toBe(1);
  },
);

test.concurrent.each([
  ['refuses pings', { error: { code: -32601, message: 'no ping here' } }],
  ['has never answered one', undefined],
])('a process that %s is judged by the total of its calls alone', async (_, answer) => {
  const there = await greeted(answer, 100);

  await passed(there, 900);

  expect(pings(there)).toHaveLength(1);
});

test.concurrent('a process of 2026-07-28 is not asked, since its revision has no ping', async () => {
  const there = await peer('stdio', { timeouts: { ...FOREVER, ping: 60 } });
  there.wire.adopt({ era: 'modern', version: '2026-07-28' });

  await passed(there, 600);

  expect(pings(there)).toEqual([]);
});

describe.concurrent('How long a call over a pipe may be silent', () => {
  const silence = (limits: { firstByte?: number; idle?: number }) =>
    peer('stdio', { timeouts: { ...FOREVER, ...limits } });
  const message = (text: string) => ({ message: expect.stringContaining(text) as string });

  test('is up to the first sign of life, where that is limited', async () => {
    const there = await silence({ firstByte: 150 });
    const silent = await call(there, caller(), { name: 'silent' });
    const talking = await call(there, caller(), { name: 'talking', totalMs: 1_200 });
    there.say({ method: 'notifications/progress', params: { progressToken: talking.id, progress: 1 } });

    await expect(silent.reply).rejects.toMatchObject(
      message('did not begin to answer within 0.15 s (timeouts.firstByte)'),
    );
    await expect(talking.reply).rejects.toMatchObject(message('timeouts.total'));
  });

  test('is between two signs of life, where that is limited', async () => {
    const there = await silence({ idle: 150 });
    const silent = await call(there, caller(), { name: 'silent', totalMs: 1_200 });
    const talking = await call(there, caller(), { name: 'talking' });
    there.say({ method: 'notifications/progress', params: { progressToken: talking.id, progress: 1 } });

    await expect(talking.reply).rejects.toMatchObject(
      message('fell silent in the middle of its answer within 0.15 s (timeouts.idle)'),
    );
    await expect(silent.reply).rejects.toMatchObject(message('timeouts.total'));
  });

  test('does not count while a question of it is with the client, and begins anew with the answer', async () => {
    const there = await silence({ firstByte: 200, idle: 200 });
    const asking = await call(there, caller());
    there.say({ id: 'q', method: 'elicitation/create', params: {} });
    const question = await there.report.requests.first(() => true);

    const clock = await call(there, caller(), { name: 'clock' });
    await expect(clock.reply).rejects.toMatchObject(message('firstByte'));
    question.answer({ result: {} });

    await expect(asking.reply).rejects.toMatchObject(message('timeouts.idle'));
  });
});
