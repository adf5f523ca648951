// If a server breaks the rules on the wire, only the call that its message belongs to fails.
import { describe, expect, test } from 'vitest';
import { call, caller, type Peer, peer, TRANSPORTS } from './peers.ts';

const text = (value: string) => ({ content: [{ type: 'text', text: value }] });

/** A round trip, after which the wire has read everything that the server sent before. */
async function settled({ wire, sent, say }: Peer): Promise<unknown> {
  const reply = wire.request({ method: 'last', params: {}, totalMs: 5_000 });
  const { id = 0 } = await sent.first(({ method }) => method === 'last');
  say({ id, result: text('last') }, id);
  return (await reply).result;
}

describe.each(TRANSPORTS)('Over %s', (transport) => {
  test('a second answer, and answers that nobody waits for, are noted and change nothing', async () => {
    const there = await peer(transport);
    const { id, reply } = await call(there, caller());

    there.say({ id, result: text('first') }, id);
    there.say({ id, result: text('second') }, id);
    there.say({ id: 123, result: text('never asked') });
    there.say({ id: String(id), result: text('a string') });
    there.say({ id: null, error: { code: -32700, message: 'what?' } });

    expect((await reply).result).toEqual(text('first'));
    expect(await settled(there)).toEqual(text('last'));
    expect(there.report.diagnostics.all.filter((diagnostic) => diagnostic.includes('answer'))).toHaveLength(4);
  });

  test('an answer with both result and error, or of a wrong type, fails its call and no other', async () => {
    const there = await peer(transport);
    const other = await call(there, caller(), { name: 'other' });

    for (const [index, broken] of [
      { result: {}, error: { code: 1, message: 'both' } },
      { result: 'text' },
      { error: { code: 'x', message: 1 } },
      {},
    ].entries()) {
      const { id, reply } = await call(there, caller(), { name: `broken${index}` });
      there.say({ id, ...broken }, id);
      await expect(reply).rejects.toMatchObject({ code: 'upstream_protocol' });
    }
    there.say({ id: other.id, result: text('well') }, other.id);

    expect((await other.reply).result).toEqual(text('well'));
    expect(there.report.ends.all).toEqual([]);
  });

  test('notifications of wrong types reach nobody', async () => {
    const there = await peer(transport);
    const alice = caller();
    const { id, reply } = await call(there, alice);

    there.say({ method: 'notifications/progress', params: { progressToken: id, progress: 'half' } }, id);
    there.say({ method: 'notifications/progress', params: { progressToken: [id], progress: 1 } }, id);
    there.say({ method: 'notifications/progress', params: { progress: 1 } }, id);
    there.say({ method: 'notifications/cancelled', params: { requestId: { id: 1 } } }, id);
    there.say({ id, result: {} }, id);
    await reply;

    expect(alice.notifications.all).toEqual([]);
  });

  test('progress of another call, or of one that has ended, is nobody’s', async () => {
    const there = await peer(transport);
    const [alice, bob] = [caller(), caller()];
    const gone = await call(there, caller(), { name: 'gone' });
    there.say({ id: gone.id, result: {} }, gone.id);
    await gone.reply;
    const first = await call(there, alice, { name: 'alice' });
    await call(there, bob, { name: 'bob' });

    const progress = (progressToken: number) => ({
      method: 'notifications/progress',
      params: { progressToken, progress: 1 },
    });
    there.say(progress(gone.id), first.id);
    there.say(progress(first.id), first.id);
    await alice.notifications.first(() => true);

    expect(alice.notifications.all).toEqual([{ progress: 1 }]);
    expect(bob.notifications.all).toEqual([]);
  });

  test('a flood of progress, lines and other notifications is cut, told once and counted; list changes are not', async () => {
    const there = await peer(transport);
    const alice = caller();
    const { id, reply } = await call(there, alice);
    const many = 20_000;
    const flood = (method: string, params: object) =>
      Array.from({ length: many }, (_, index) =>
        JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, index } }),
      );
    const lines = [
      ...flood('notifications/progress', { progressToken: id, progress: 1 }),
      ...flood('notifications/unheard-of', {}),
      ...flood('notifications/tools/list_changed', {}),
    ];
    const framed = transport === 'stdio' ? lines.map((line) => `${line}\n`) : lines.map((line) => `data: ${line}\n\n`);

    const started = performance.now();
    there.raw(framed.join(''), id);
    there.say({ id, result: text('well') }, id);
    const result = await reply;
    const seconds = Math.ceil((performance.now() - started) / 1_000) + 1;
    await there.wire.close();
    const of = (method: string) => there.report.notifications.all.filter((each) => each.method.endsWith(method)).length;

    expect(result.result).toEqual(text('well'));
    expect(alice.notifications.all.length).toBeGreaterThanOrEqual(100);
    expect(alice.notifications.all.length).toBeLessThanOrEqual(100 * seconds);
    expect(of('unheard-of')).toBeGreaterThanOrEqual(1_000);
    expect(of('unheard-of')).toBeLessThanOrEqual(1_000 * seconds);
    expect(of('list_changed')).toBe(many);
    expect(there.report.diagnostics.all.filter((diagnostic) => diagnostic.includes('more than is taken'))).toHaveLength(
      1,
    );
    const dropped = 2 * many - alice.notifications.all.length - of('unheard-of');
    expect(await there.report.diagnostics.first((diagnostic) => diagnostic.includes('in all'))).toContain(
      `${dropped} messages`,
    );
  });

  test('a character that is cut anywhere arrives whole, and bytes that are no UTF-8 harm no message after them', async () => {
    const there = await peer(transport);
    const { id, reply } = await call(there, caller());
    const line = JSON.stringify({ jsonrpc: '2.0', id, result: text('äß€😀') });
    const bytes = Buffer.from(transport === 'stdio' ? `${line}\n` : `data: ${line}\n\n`);

    // no message at all; it goes on the shared stream, since it would end the stream of the call
    if (transport === 'stdio') there.raw(Uint8Array.of(0xff, 0xc3, 0x28, 0xf0, 0x9f, 0x0a));
    else if (transport === 'sse')
      there.raw(Buffer.concat([Buffer.from('data: '), Uint8Array.of(0xff, 0xc3, 0x0a, 0x0a)]));
    for (const byte of bytes) {
      there.raw(Uint8Array.of(byte), id);
      await new Promise((resolve) => setImmediate(resolve));
    }

    expect((await reply).result).toEqual(text('äß€😀'));
    if (transport !== 'streamable-http')
      expect(await there.report.diagnostics.first(() => true)).toContain('is not MCP');
  });
});

test.each(['stdio', 'sse'] as const)(
  'a hundred messages in a row over %s that are not MCP end the connection',
  async (transport) => {
    const there = await peer(transport);
    const { reply } = await call(there, caller());

    for (let line = 1; line <= 100; line++) there.say('Welcome to the server!');

    await expect(reply).rejects.toMatchObject({ code: 'upstream_closed' });
    expect(await there.report.ends.first(() => true)).toContain('100 lines in a row');
    await expect(there.wire.request({ method: 'tools/list', params: {}, totalMs: 100 })).rejects.toMatchObject({
      code: 'upstream_closed',
    });
  },
);

test.each(TRANSPORTS)('a request beyond 4096 in flight over %s is refused, not queued', async (transport) => {
  const { wire } = await peer(transport);
  const ask = () => wire.request({ method: 'tools/list', params: {}, totalMs: 20_000 });
  const open = Array.from({ length: 4_096 }, () => ask().catch((error: unknown) => error));

  await expect(ask()).rejects.toMatchObject({ code: 'overloaded' });

  await wire.close();
  const ends = (await Promise.all(open)) as { code?: string }[];
  expect(new Set(ends.map(({ code }) => code))).toEqual(new Set(['upstream_closed']));
});

describe.each(['stdio', 'sse'] as const)('After a call over %s has run out', (transport) => {
  const started = async () => {
    const there = await peer(transport, { timeouts: { connect: 300, ping: 300 } });
    const { reply } = await call(there, caller(), { totalMs: 100 });
    const other = await call(there, caller(), { name: 'other' });
    await expect(reply).rejects.toMatchObject({ code: 'upstream_timed_out' });
    const { id = 0 } = await there.sent.first(({ method }) => method === 'ping');
    return { there, other, ping: id };
  };

  test('a server that says nothing to a ping either is lost, with everything that runs there', async () => {
    const { there, other } = await started();

    await expect(other.reply).rejects.toMatchObject({ code: 'upstream_closed' });
    expect(await there.report.ends.first(() => true)).toContain('no longer answers');
  });

  test.each([
    ['an answer', (id: number) => ({ id, result: {} })],
    ['a refusal', (id: number) => ({ id, error: { code: -32601, message: 'no ping here' } })],
    ['a word', () => ({ method: 'notifications/message', params: { level: 'info', data: 'busy' } })],
  ])('%s is a sign of life', async (_, sign) => {
    const { there, other, ping } = await started();

    there.say(sign(ping));
    const next = await call(there, caller(), { name: 'next', totalMs: 600 }); // outlives the ping
    await expect(next.reply).rejects.toMatchObject({ code: 'upstream_timed_out' });
    there.say({ id: other.id, result: text('well') });

    expect((await other.reply).result).toEqual(text('well'));
    expect(there.report.ends.all).toEqual([]);
  });
});

test('a caller who leaves says nothing about the server: it is not asked for a sign of life', async () => {
  const there = await peer('stdio', { timeouts: { ping: 100 } });
  const alice = caller();
  const { reply } = await call(there, alice);

  alice.cancel();
  await expect(reply).rejects.toMatchObject({ code: 'cancelled' });

  expect(await settled(there)).toEqual(text('last'));
  expect(there.sent.all.some(({ method }) => method === 'ping')).toBe(false);
});
