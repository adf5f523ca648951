// Which sessions are notified of a completed URL elicitation, and how many are remembered for how long.
import { expect, test } from 'vitest';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import type { ClientSession, Exchange } from '../../../../src/core/exchange.ts';
import type { Owner } from '../../../../src/upstream/mcp/instances/affinity.ts';
import { UrlElicitations } from '../../../../src/upstream/mcp/instances/url-elicitations.ts';
import type { ServerRequest } from '../../../../src/upstream/mcp/wire/wire.ts';

/** A session or call that keeps its notifications. */
function setup() {
  const notified: string[] = [];
  const exchangeOf = (name: string, signal = new Cancellation()) =>
    ({
      signal,
      notify: (_method: string, { elicitationId }: { elicitationId: string }) =>
        notified.push(`${name} ${elicitationId}`),
    }) as unknown as Exchange;
  const sessionOf = (name: string) => {
    const over = new Cancellation();
    return { session: { key: name, standing: exchangeOf(name, over) } as unknown as ClientSession, over };
  };
  const elicitations = new UrlElicitations();
  const require = (session: ClientSession, ...ids: string[]) =>
    elicitations.required(
      { code: -32042, message: '', data: { elicitations: ids.map((elicitationId) => ({ elicitationId })) } },
      session,
      undefined,
    );
  const done = async (elicitationId: string, owner?: Owner) => {
    elicitations.completed({ elicitationId }, owner);
    await new Promise(setImmediate);
  };
  return { notified, elicitations, exchangeOf, sessionOf, require, done };
}

test('the call is told while it runs, its session after that, and each once', async () => {
  const { notified, elicitations, exchangeOf, sessionOf, done } = setup();
  const { session } = sessionOf('session');
  let end: () => void = () => undefined;
  const ask = (elicitationId: string) => {
    const onCallEnd = (listener: () => void) => {
      end = listener;
      return () => undefined;
    };
    const asked = { params: { elicitationId }, session, exchange: exchangeOf('call'), onCallEnd };
    elicitations.requested(asked as unknown as ServerRequest, undefined);
  };
  ask('a');
  await done('a');
  await done('a');
  ask('b');
  end();
  await done('b');

  expect(notified).toEqual(['call a', 'session b']);
});

test('an error that comes in the same breath is known by then, and an instance of somebody else says nothing of it', async () => {
  const { notified, elicitations, sessionOf, require, done } = setup();
  const [one, other] = [sessionOf('one'), sessionOf('other')];
  elicitations.completed({ elicitationId: 'a' }, undefined);
  require(one.session, 'a', 'b');
  await new Promise(setImmediate);
  await done('b', { key: 'other', label: 'other', principal: 'other', session: other.session, capabilities: {} });

  expect(notified).toEqual(['one a', 'other b']);
});

test('of each session the last 32 are known, of one that has ended none', async () => {
  const { notified, sessionOf, require, done } = setup();
  const [one, other] = [sessionOf('one'), sessionOf('other')];
  require(other.session, 'kept');
  for (let index = 0; index < 40; index++) require(one.session, `page-${index}`);
  for (const id of ['page-7', 'page-8', 'kept']) await done(id);
  one.over.abort();
  for (const id of ['page-9', 'page-39']) await done(id);

  expect(notified).toEqual(['one page-8', 'other kept']);
});
