// A session and its standing streams: which stream gets a message, what keeps the session busy, and when its client can be asked.
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { ALL_SERVERS } from '../../../src/core/call.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { handleInitialize } from '../../../src/downstream/mcp/legacy.ts';
import { CallerExchange } from '../../../src/downstream/mcp/exchange.ts';
import { EventConnection } from '../../../src/downstream/mcp/http-response.ts';
import { endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { Session } from '../../../src/downstream/mcp/session.ts';
import { said, stubGateway } from '../front.ts';
import { Wire } from '../wire.ts';

function setup(limits = endpointLimits()) {
  const session = new Session({
    gateway: stubGateway(() => Promise.resolve(said(''))),
    caller: { principal: LOCAL, endpoint: ALL_SERVERS, transport: 'streamable-http' },
    version: '2025-06-18',
    client: undefined,
    capabilities: { roots: {} },
    limits,
  });
  const connect = (lastId?: string) => {
    const wire = new Wire();
    const connection = new EventConnection(wire as unknown as ServerResponse, { headers: {}, limits });
    session.openStream(connection, lastId === undefined ? undefined : session.replay.find(lastId));
    return wire;
  };
  const notify = (name: string) => session.link.standing.notify(`notifications/${name}`, {});
  const ask = () => session.link.standing.ask({ method: 'roots/list', params: {}, signal: new Cancellation().signal });
  return { session, connect, notify, ask };
}

const notificationsOn = (wire: Wire) => wire.written.flatMap((text) => /notifications\/(\w+)/.exec(text)?.[1] ?? []);

test('A stream keeps its session awake as long as somebody reads it', () => {
  const { session, connect } = setup();
  expect(session.busy).toBe(false);
  const wire = connect();
  expect(session.busy).toBe(true);
  wire.lose();

  expect(session.busy).toBe(false);
});

test('A session whose only request waits for an answer of its client ages, until the client answers', async () => {
  const { session } = setup();
  const { signal } = session.begin({ id: 1, method: 'tools/call' });
  expect(session.busy).toBe(true);
  const { questions, capabilities } = session;
  const exchange = new CallerExchange({ signal, send: () => true, capabilities, questions });
  const asked = exchange.ask({ method: 'roots/list', params: {}, signal: new Cancellation().signal });
  expect(session.busy).toBe(false);
  session.begin({ id: 2, method: 'tools/call' });
  expect(session.busy).toBe(true);
  session.finish(2);
  expect(session.busy).toBe(false);
  questions.answer({ kind: 'response', id: 1, result: { roots: [] } });
  await asked;

  expect(session.busy).toBe(true);
});

test('A client whose stream is lost is not asked there, and nothing is kept of the question', async () => {
  const { connect, notify, ask } = setup();
  const wire = connect();
  notify('first');
  wire.lose();
  await expect(ask()).rejects.toMatchObject({ code: 'client_unreachable' });
  notify('missed');
  const back = connect(/^id: (.*)$/m.exec(wire.written[0] ?? '')?.[1]);

  expect(notificationsOn(back)).toEqual(['missed']);
  expect(back.written.join('')).not.toContain('roots/list');
});

test('News goes to one stream: the newest that has a reader', () => {
  const { connect, notify } = setup();
  const [older, newer] = [connect(), connect()];
  notify('one');
  newer.lose();
  notify('two');
  older.lose();
  notify('three');

  expect([notificationsOn(older), notificationsOn(newer)]).toEqual([['two'], ['one']]);
});

test('A stream that nobody reads is the first to make room', () => {
  const { connect } = setup();
  const wires = Array.from({ length: 8 }, () => connect());
  wires[5]?.lose();
  connect();
  expect(wires.filter(({ writableEnded }) => writableEnded)).toEqual([]);
  connect();

  expect(wires.findIndex(({ writableEnded }) => writableEnded)).toBe(0);
});

test('The end of a session ends its streams, and what waits for its end is told', () => {
  const { session, connect } = setup();
  const wire = connect();
  let ends = 0;
  session.link.standing.signal.onAbort(() => (ends += 1));
  session.end();
  session.end();

  expect([wire.writableEnded, ends]).toEqual([true, 1]);
});

test('The end of a session lets go of what was kept for its client', () => {
  const limits = endpointLimits();
  const { session, connect, notify } = setup(limits);
  connect();
  notify('one');
  expect(limits.replayBudget.bytes).toBeGreaterThan(0);
  session.end();

  expect(limits.replayBudget.bytes).toBe(0);
});

test('A session keeps of what its client declared only what is known here', () => {
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: { roots: { odd: [[]] }, experimental: { x: [[]] } },
    clientInfo: { name: 'c', version: '1' },
  };
  const gateway = stubGateway(() => Promise.resolve(said('')));
  const caller = { principal: LOCAL, endpoint: ALL_SERVERS, transport: 'streamable-http' } as const;
  const { options } = handleInitialize(gateway, { kind: 'request', id: 1, method: 'initialize', params }, caller);

  expect(new Session({ ...options, limits: endpointLimits() }).capabilities).toEqual({ roots: {} });
});

test('A wait for the end of a task keeps a session awake only while somebody reads it', () => {
  const limits = endpointLimits();
  const { session } = setup(limits);
  session.begin({ id: 1, method: 'tasks/result' });
  expect(session.busy).toBe(false);
  const wire = new Wire();
  session.openCallStream(new EventConnection(wire as unknown as ServerResponse, { headers: {}, limits }));
  expect(session.busy).toBe(true);
  wire.lose();
  expect(session.busy).toBe(false);
  session.begin({ id: 2, method: 'tools/call' });
  expect(session.busy).toBe(true);
});
