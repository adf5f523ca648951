// Servers that go away while a caller is being asked: what becomes of the answers.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { FORM, toldIn, told } from './harness/asking.ts';

import { kept, openTried } from './harness/kept.ts';
import { errorOf, type LegacySession, openSession, send, stream } from './harness/raw.ts';
import { legacy, modern, openEvents, startScripted, tool, type Visit } from './harness/scripted.ts';
import { statusOf, until } from './harness/status.ts';

const ADA = { action: 'accept', content: { name: 'Ada' } };
const elicit = 'elicitation/create';

/** Calls a tool; resolves when the client is asked, with the ways to answer and to read what came of it. */
async function asked(origin: string, session: LegacySession) {
  const events = await stream(origin, session.request('tools/call', { name: 's__ask', arguments: {} }));
  const { id } = await events.inbox.find({ method: elicit });
  return {
    answer: () => send(origin, session.post(JSON.stringify({ jsonrpc: '2.0', id, result: ADA }))),
    outcome: () => events.inbox.find({ id: 1 }),
  };
}

describe('The answers of a legacy client to a modern server that restarts meanwhile', () => {
  const script = modern(
    () => [tool('ask'), tool('plain')],
    ({ rpc, params }: Visit): JsonObject | undefined => {
      if (rpc !== 'tools/call') return undefined;
      if (params.inputResponses !== undefined) return told(params.inputResponses);
      return { resultType: 'input_required', inputRequests: { who: { method: elicit, params: FORM } } };
    },
  );

  async function askedAndAway(total: string) {
    const server = await startScripted(script);
    const gateway = await openTried({ config: { mcpServers: { s: { url: server.url, timeouts: { total } } } } });
    const session = await openSession(gateway.origin, { capabilities: { elicitation: {} } });
    const question = await asked(gateway.origin, session);
    await server.stop();
    // a call that nobody was asked in fails at once
    const plain = session.request('tools/call', { name: 's__plain', arguments: {} }, { id: 'plain' });
    const refused = await send(gateway.origin, plain);
    expect(errorOf(refused)).toMatchObject({ code: -33010 });
    return { port: server.port, gateway, question };
  }

  test('wait until it is back', async () => {
    const { port, gateway, question } = await askedAndAway('60s');
    const outcome = question.outcome();
    await question.answer();
    await until(
      () => statusOf(gateway, 's'),
      ({ state }) => state === 'waiting',
    );
    await kept(startScripted(script, { port }));

    expect(toldIn((await outcome).result as JsonObject)).toEqual({ who: ADA });
  });

  test('wait no longer than a call may take', async () => {
    const { question } = await askedAndAway('1s');
    await question.answer();

    expect((await question.outcome()).error).toMatchObject({
      code: -33010,
      message: expect.stringContaining('is not available') as string,
    });
  });
});

test('a call at a legacy server that has forgotten the session of its question fails when the answer comes', async () => {
  const sessions = new Set<string>();
  const script = legacy(
    () => [tool('ask')],
    sessions,
    (visit) => {
      if (visit.rpc !== 'tools/call' || !sessions.has(String(visit.headers['mcp-session-id']))) return undefined;
      openEvents(visit)({ id: 'q', method: elicit, params: FORM });
      return undefined;
    },
  );
  const server = await kept(startScripted(script));
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
  const session = await openSession(gateway.origin, { capabilities: { elicitation: {} } });
  const question = await asked(gateway.origin, session);
  sessions.clear();
  await question.answer();

  expect((await question.outcome()).error).toMatchObject({
    code: -33011,
    message: expect.stringContaining('no longer knows the session') as string,
  });
  // the call may have been done by half: it is not made again
  expect(server.count('tools/call')).toBe(1);
});
