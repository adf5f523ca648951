// Questions that nobody comes back to answer: they cost their own caller, and not others who use the same server.
import { expect, test } from 'vitest';
import { ALICE, AUTH, BOB } from './harness/principals.ts';
import { recordsOf } from './harness/tasks.ts';
import { fixture } from './harness/gateway.ts';
import { openTried } from './harness/kept.ts';
import { errorOf, modern, resultOf, send } from './harness/raw.ts';

/** Callers who declare different things have instances of their own, also where they are one principal. */
const ASKABLE = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } };
const OTHERWISE = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };

test('forms that one principal leaves unanswered do not keep another from the server: the oldest gives way, and says so', async () => {
  const gateway = await openTried({
    config: {
      auth: AUTH,
      mcpServers: {
        s: { ...fixture('private-stdio.ts'), isolation: 'session', instances: { max: 2 }, timeouts: { total: '2s' } },
      },
    },
    env: { ALICE, BOB },
  });
  const call = (token: string, name: string, { more = {}, meta = ASKABLE } = {}) =>
    send(
      gateway.origin,
      modern(
        'tools/call',
        { name, arguments: { label: 'x' }, ...more },
        {
          meta,
          headers: { Authorization: `Bearer ${token}` },
        },
      ),
    );
  const left = [await call(ALICE, 's__ask'), await call(ALICE, 's__ask', { meta: OTHERWISE })].map((answer) =>
    resultOf(answer),
  );
  expect(left.map(({ resultType }) => resultType)).toEqual(['input_required', 'input_required']);

  const bobs = resultOf(await call(BOB, 's__facts'));
  const [first, second] = left.map(({ requestState = '' }) => ({
    requestState,
    inputResponses: { q1: { action: 'decline' } },
  }));
  const answers = [
    await call(ALICE, 's__ask', { more: first }),
    await call(ALICE, 's__ask', { more: second, meta: OTHERWISE }),
  ] as const;
  const events = (await recordsOf(gateway, '--kind', 'event')).filter(({ event }) => event === 'calls_gave_way');

  expect(bobs.content).toBeDefined();
  expect(errorOf(answers[0])).toMatchObject({
    message: expect.stringContaining('others waited for one') as string,
    data: { reason: 'overloaded' },
  });
  expect(resultOf(answers[1]).isError).toBeUndefined();
  expect(events).toMatchObject([{ detail: { server: 's', owner: 'alice' } }]);
});
