// The order of the stages, as it shows: what is committed before what, what is refused first, who is told in the end.
import { expect, test } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { GatewayError } from '../../../src/core/errors.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import { modern, open, openSession, send } from '../../integration/harness/raw.ts';
import { type CallRecord, Composition } from './composition.ts';

const TOOLS = { tools: ['echo', 'fail', 'hold', 'secret'] };
const AUDIT_UNAVAILABLE = { status: 503, error: { code: -33008 } };

const start = (): Promise<Composition> =>
  Composition.start({ servers: { s: TOOLS }, entries: { s: { tools: { deny: ['secret*'] } } } });

test('nothing is sent to the server before the intent is in the log, nor is anything answered without its outcome', async () => {
  const arrived: (CallRecord | undefined)[] = [];
  const gateway: Composition = await Composition.start({
    servers: {
      s: {
        ...TOOLS,
        script: ({ rpc }) => {
          if (rpc === 'tools/call') arrived.push(gateway.records().at(-1));
          return undefined;
        },
      },
    },
  });

  await gateway.ask('tools/call', { name: 's__echo' });
  const held = gateway.ask('tools/call', { name: 's__hold' });
  await gateway.fake().holds(1);

  expect(arrived).toMatchObject([{ exposed: 's__echo' }, { exposed: 's__hold' }]);
  for (const record of arrived) expect(record?.status).toBeUndefined();
  expect(gateway.records()).toMatchObject([{ exposed: 's__echo', status: 'ok' }, { exposed: 's__hold' }]);
  gateway.breakAudit();
  gateway.fake().release();
  expect(await held).toMatchObject(AUDIT_UNAVAILABLE);
});

test('every call has one intent and one outcome, whether it reaches a server or not', async () => {
  const gateway = await start();

  await gateway.ask('tools/list');
  await gateway.ask('tools/call', { name: 's__echo' });
  await gateway.ask('tools/call', { name: 's__secret' });

  const kinds = Map.groupBy(
    gateway.lines().filter(({ kind }) => kind !== 'event'),
    ({ call }) => call,
  );
  const ofCall = ['intent', 'outcome'];
  expect([...kinds.values()].map((lines) => lines.map(({ kind }) => kind))).toEqual([ofCall, ofCall, ofCall]);
});

test('a log that cannot be written refuses every call, and nothing of them is sent or told', async () => {
  const gateway = await start();
  gateway.breakAudit();

  const called = await gateway.ask('tools/call', { name: 's__echo' });
  const denied = await gateway.ask('tools/call', { name: 's__secret' });
  const listed = await gateway.ask('tools/list');
  const session = await openSession(gateway.origin);
  const legacy = await send(gateway.origin, session.request('tools/list'));
  const broken = await gateway.ready();
  const sent = gateway.fake().calls.length;
  gateway.mendAudit();
  const again = await gateway.ask('tools/call', { name: 's__echo' });

  expect([called, denied, listed]).toMatchObject([AUDIT_UNAVAILABLE, AUDIT_UNAVAILABLE, AUDIT_UNAVAILABLE]);
  expect(legacy.text).toContain('-33008');
  expect(broken).toMatchObject({
    status: 503,
    ready: false,
    audit: { writable: false, error: expect.any(String) as string },
  });
  expect(sent).toBe(0);
  expect(again.error).toBeUndefined();
  expect(await gateway.ready()).toMatchObject({ status: 200, ready: true, audit: { writable: true } });
  expect(gateway.logged('the audit log cannot be written; calls are refused')).toBe(true);
  expect(gateway.logged('the audit log can be written again')).toBe(true);
});

test('an event that cannot be written is missing, and the log of the program says which, and why', async () => {
  const gateway = await start();
  gateway.breakAudit();

  await gateway.ask('tools/nothing');
  await gateway.ready();
  gateway.mendAudit();

  expect(gateway.log).toContainEqual(
    expect.objectContaining({
      level: 'error',
      msg: 'an event is missing from the audit log',
      event: 'request_refused',
      err: expect.objectContaining({ message: expect.stringContaining('audit') as string }) as unknown,
    }),
  );
});

test('a refusal for too much memory is recorded, and a denied call takes none of it', async () => {
  const gateway = await start();
  const left = new Cancellation();
  const listening = Promise.withResolvers<void>();
  const exchange = { ...ownExchange(left.signal), notify: () => listening.resolve() };
  const large = 'x'.repeat(1 << 20);
  const listener = gateway.direct(
    'subscriptions/listen',
    { notifications: {}, large: new Array<string>(300).fill(large) },
    { bytes: 300 << 20, exchange },
  );
  listener.catch(() => undefined); // it ends as cancelled
  await listening.promise;

  const refused = gateway.direct('tools/call', { name: 's__echo' });
  await expect(refused).rejects.toMatchObject({ code: 'overloaded' });
  await expect(gateway.direct('tools/call', { name: 's__secret' })).rejects.toMatchObject({ code: 'unknown_target' });
  const sent = gateway.fake().calls.length;
  left.abort();
  await expect(listener).rejects.toBeInstanceOf(GatewayError);
  await gateway.direct('tools/call', { name: 's__echo' });

  expect(sent).toBe(0);
  expect(gateway.records()).toMatchObject([
    { method: 'subscriptions/listen', status: 'cancelled' },
    { exposed: 's__echo', status: 'refused', error: 'overloaded', decision: { allowed: true } },
    { exposed: 's__secret', status: 'refused', error: 'unknown_target', decision: { allowed: false } },
    { exposed: 's__echo', status: 'ok' },
  ]);
});

test('whoever looks on is told of each call once, with its status and why it is not ok', async () => {
  const gateway = await start();

  await gateway.ask('tools/call', { name: 's__echo' });
  await gateway.ask('tools/call', { name: 's__fail' });
  await gateway.ask('tools/call', { name: 's__secret' });
  await gateway.ask('prompts/get', { name: 's__nothing' });
  const leaving = open(gateway.origin, modern('tools/call', { name: 's__hold' }));
  leaving.on('error', () => undefined); // it is taken back
  await gateway.fake().holds(1);
  leaving.destroy();
  const told = await gateway.toldOf('call', 5);

  expect(told).toEqual([
    { kind: 'call', method: 'tools/call', status: 'ok' },
    { kind: 'call', method: 'tools/call', status: 'tool_error', reason: 'it failed' },
    {
      kind: 'call',
      method: 'tools/call',
      status: 'refused',
      reason: expect.stringMatching(/^denied by mcpServers\.s\.tools\.deny: .*mcp-gateway\.json:\d+:\d+/) as string,
    },
    { kind: 'call', method: 'prompts/get', status: 'refused', reason: 'Unknown prompt: s__nothing' },
    { kind: 'call', method: 'tools/call', status: 'cancelled', reason: expect.any(String) as string },
  ]);
  expect(gateway.records().map(({ status }) => status)).toEqual(told.map(({ status }) => status));
});
