// A lost connection ends no legacy call, and its answer can be picked up by whoever comes back to the session.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { inSession } from './harness/in-session.ts';
import { type Answer, errorOf, type LegacySession, resultOf, send, stream } from './harness/raw.ts';

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await openGateway({ config: { mcpServers: { echo: fixture('echo-stdio.ts') } } });
  await gateway.attempted();
});

afterAll(() => gateway.stop());

const verdict = (answer: Answer) => [answer.status, errorOf(answer).code];
const tool = (session: LegacySession, name: string, args: JsonObject = {}) =>
  send(gateway.origin, session.request('tools/call', { name, arguments: args }));
const textOf = (answer: Answer) => (resultOf(answer).content as { text: string }[])[0]?.text;
const withSession = <T>(run: (session: LegacySession) => Promise<T>, version?: string) =>
  inSession(gateway.origin, run, version);

describe('A lost connection', () => {
  test('cancels nothing: the call runs to its end', () =>
    withSession(async (session) => {
      const before = JSON.parse(String(textOf(await tool(session, 'echo__cancelled')))) as number[];
      const call = { name: 'echo__slow', arguments: { ms: 400, label: 'lost' }, _meta: { progressToken: 1 } };
      const running = await stream(gateway.origin, session.request('tools/call', call, { id: 'lost' }));
      await running.inbox.find({ method: 'notifications/progress' });
      running.close();
      // the id is free again when the call has ended
      for (;;) {
        const answer = await send(gateway.origin, session.request('ping', {}, { id: 'lost' }));
        if (answer.status === 200) break;
      }
      const after = JSON.parse(String(textOf(await tool(session, 'echo__cancelled')))) as number[];
      const { stdout } = await gateway.cli('audit', 'query', '--json', '--tool', 'echo__slow', '--limit', '1');

      expect(after).toEqual(before);
      expect(stdout).toContain('"status":"ok"');
    }));
});

describe('A client that lost its connection', () => {
  const slow = { name: 'echo__slow', arguments: { ms: 600, steps: 3, label: 'lost' }, _meta: { progressToken: 1 } };
  const lastId = (raw: string) => [...raw.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';

  test.each(['2025-11-25', '2025-06-18', '2025-03-26'])('gets its answer by Last-Event-ID in %s', (version) =>
    withSession(async (session) => {
      const running = await stream(gateway.origin, session.request('tools/call', slow, { id: 'lost' }));
      await running.inbox.find({ method: 'notifications/progress' });
      running.close();
      const back = await stream(gateway.origin, session.get({ 'Last-Event-ID': lastId(running.raw()) }));
      const answer = await back.inbox.find({ id: 'lost' });
      await back.ended;

      expect(answer.result).toEqual({ content: [{ type: 'text', text: 'slow lost done after 3 steps' }] });
      expect(back.inbox.all.map(({ params }) => (params as JsonObject | undefined)?.progress)).toEqual([
        2,
        3,
        undefined,
      ]);
      expect((await send(gateway.origin, session.get({ 'Last-Event-ID': lastId(back.raw()) }))).status).toBe(204);
    }, version),
  );

  test('gets nothing by the id of another session, or an unknown one', () =>
    withSession((one) =>
      withSession(async (other) => {
        const running = await stream(gateway.origin, one.request('tools/call', slow, { id: 1 }));
        await running.inbox.find({ method: 'notifications/progress' });
        for (const id of [lastId(running.raw()), 'unknown', '0'])
          expect(verdict(await send(gateway.origin, other.get({ 'Last-Event-ID': id })))).toEqual([400, -32600]);

        expect(await running.inbox.find({ id: 1 })).toHaveProperty('result');
      }),
    ));
});
