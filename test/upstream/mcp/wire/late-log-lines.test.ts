// Log lines that a server sends just after the answer: they go to the session of the only caller.
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ClientSession } from '../../../../src/core/exchange.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import { caller, peer, Seen } from '../peers.ts';

describe.each(['stdio', 'sse'] as const)('A log line that comes after the answer, over %s', (transport) => {
  const line = (data: string) => ({ method: 'notifications/message', params: { level: 'info', data } });

  async function answeredFor(...sessions: (ClientSession | undefined)[]) {
    const there = await peer(transport);
    for (const session of sessions) {
      const name = `call ${Math.random()}`;
      const reply = there.wire.request({
        method: 'tools/call',
        params: { name },
        exchange: caller(),
        session,
        totalMs: 5_000,
      });
      const { id = 0 } = await there.sent.first(({ params }) => params?.name === name);
      there.say({ id, result: { content: [] } });
      await reply;
    }
    return there;
  }

  function session() {
    const lines = new Seen<JsonObject>();
    const standing = { log: (params: JsonObject) => lines.add(params) };
    return { lines, session: { standing } as unknown as ClientSession };
  }

  test('goes to the session of the only caller, for a second', async () => {
    const { lines, session: only } = session();
    const there = await answeredFor(only, only);
    there.say(line('late'));
    expect(await lines.first(() => true)).toMatchObject({ data: 'late' });
    await delay(1_050);
    there.say(line('too late'));

    expect(await there.report.logs.first(() => true)).toMatchObject({ data: 'too late' });
    expect(lines.all).toHaveLength(1);
  });

  test('goes to no caller if there were several, or one without a session', async () => {
    const [one, two] = [session(), session()];
    for (const callers of [[one.session, two.session], [one.session, undefined], [undefined]]) {
      const there = await answeredFor(...callers);
      there.say(line('whose'));
      expect(await there.report.logs.first(() => true)).toMatchObject({ data: 'whose' });
    }
    expect([...one.lines.all, ...two.lines.all]).toEqual([]);
  });
});
