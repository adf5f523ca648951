// The events that a session keeps for replay: bounded, separate for each stream, and not found by ids of other sessions.
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { type Bounds, boundsWith } from '../../../src/core/bounds/bounds.ts';
import { EventConnection } from '../../../src/downstream/mcp/http-response.ts';
import { type EndpointLimits, endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { Replay } from '../../../src/downstream/mcp/replay.ts';
import { Wire } from '../wire.ts';

/** The limits with some bounds replaced, for the sessions of one gateway. */
function limitsWith(replaced: Partial<Bounds>): EndpointLimits {
  return endpointLimits(boundsWith(replaced));
}

function setup(limits = endpointLimits(), polls = false) {
  const replay = new Replay({ limits, polls });
  const connect = () => {
    const wire = new Wire();
    return { wire, connection: new EventConnection(wire as unknown as ServerResponse, { headers: {}, limits }) };
  };
  const open = () => {
    const { wire, connection } = connect();
    return { wire, stream: replay.open(connection, { polled: true }) };
  };
  const lastId = (wire: Wire) => /^id: (.*)$/m.exec(wire.written.at(-1) ?? '')?.[1] ?? '';
  return { replay, connect, open, lastId };
}

describe('A stream that lost its connection', () => {
  test('goes on where the client was, with what came meanwhile and what comes later', () => {
    const { replay, connect, open, lastId } = setup();
    const { wire, stream } = open();
    stream.send('"one"');
    const id = lastId(wire);
    wire.lose();
    expect(stream.send('"two"')).toBe(true);
    const position = replay.find(id);
    const back = connect();
    position?.stream.attach(back.connection, position.after);
    stream.send('"three"');
    stream.end('"four"');

    expect(wire.ids).toEqual(['1']);
    expect(back.wire.ids).toEqual(['2', '3', '4']);
    expect(back.wire.writableEnded).toBe(true);
    expect(replay.find(lastId(back.wire))).toBeUndefined();
  });

  test('that has ended meanwhile gives the rest and ends', () => {
    const { replay, connect, open, lastId } = setup();
    const { wire, stream } = open();
    stream.send('"one"');
    wire.lose();
    stream.end('"two"');
    const position = replay.find(lastId(wire));
    const back = connect();
    position?.stream.attach(back.connection, position.after);

    expect(back.wire.ids).toEqual(['2']);
    expect(back.wire.writableEnded).toBe(true);
    expect(stream.connected).toBe(false);
  });

  test('takes the newest connection, and ends the one before', () => {
    const { connect, open } = setup();
    const { wire, stream } = open();
    const next = connect();
    stream.attach(next.connection, 0);
    stream.send('"one"');

    expect(wire.writableEnded).toBe(true);
    expect(stream.connected).toBe(true);
    expect([wire.ids, next.wire.ids]).toEqual([[], ['1']]);
  });

  test('gives nothing of another stream', () => {
    const { replay, connect, open, lastId } = setup();
    const [one, other] = [open(), open()];
    one.stream.send('"one"');
    other.stream.send('"other"');
    const position = replay.find(lastId(one.wire).replace(/\d+$/, '0'));
    const back = connect();
    position?.stream.attach(back.connection, position.after);

    expect(back.wire.written.join('')).toContain('"one"');
    expect(back.wire.written.join('')).not.toContain('"other"');
  });
});

describe('What is kept', () => {
  test('is bounded in events: the oldest go first, and a stream that is over goes with its last', () => {
    const { replay, connect, open, lastId } = setup(limitsWith({ replayEvents: 3 }));
    const [old, young] = [open(), open()];
    old.stream.send('"old"');
    const id = lastId(old.wire);
    old.stream.end();
    for (const text of ['"1"', '"2"', '"3"', '"4"']) young.stream.send(text);
    const position = replay.find(lastId(young.wire).replace(/\d+$/, '0'));
    const back = connect();
    position?.stream.attach(back.connection, position.after);

    expect(back.wire.ids).toEqual(['2', '3', '4']);
    expect(replay.find(id.replace(/\d+$/, '0'))).toBeUndefined();
  });

  test('is bounded in bytes, also by a single event that is too large', () => {
    const { replay, open } = setup(limitsWith({ replayBytes: 100 }));
    const { stream } = open();
    stream.send('x'.repeat(60));
    stream.send('y'.repeat(60));
    expect(replay.keptOf(stream).map(({ number }) => number)).toEqual([2]);
    stream.send('z'.repeat(101));
    expect(replay.keptOf(stream)).toEqual([]);
  });

  test('is bounded over all sessions: the oldest goes first, whosever it is', () => {
    const limits = limitsWith({ replayMemory: 100 });
    const sessions = [setup(limits), setup(limits)] as const;
    const [one, other] = sessions.map(({ open }) => open().stream);
    one!.send('a'.repeat(40));
    other!.send('b'.repeat(40));
    one!.send('c'.repeat(40));
    const numbers = () =>
      [one, other].map((stream, index) => sessions[index]!.replay.keptOf(stream!).map(({ number }) => number));
    expect(numbers()).toEqual([[2], [1]]);
    other!.send('d'.repeat(60));

    expect(numbers()).toEqual([[2], [2]]);
    expect(limits.replayBudget.bytes).toBe(100);
  });

  test('is kept no more when its session has ended, and by no session that has', () => {
    const limits = limitsWith({ replayMemory: 100 });
    const { replay, open } = setup(limits);
    const { stream } = open();
    stream.send('a'.repeat(40));
    replay.close();
    stream.send('b'.repeat(40));

    expect(limits.replayBudget.bytes).toBe(0);
    expect(replay.keptOf(stream)).toEqual([]);
  });

  test('makes room in all for the young ones of its own session first', () => {
    const limits = limitsWith({ replayMemory: 100, replayBytes: 50 });
    const { open } = setup(limits);
    const { stream } = open();
    for (let count = 0; count < 100; count++) stream.send('a'.repeat(30));
    stream.send('b'.repeat(51));

    expect(limits.replayBudget.bytes).toBe(0);
  });

  test.each(['', 'x', '1', '-', '--', '-1-1', 'NaN-1-1'])('is not found by %j', (id) => {
    const { replay, open } = setup();
    open();

    expect(() => replay.find(id)).toThrow('no stream of this session');
  });

  test('is not found by ids of the session that were made up, be their stream running, over or none', () => {
    const { replay, open, lastId } = setup();
    const [live, over] = [open(), open()];
    for (const { stream } of [live, over]) stream.send('""');
    over.stream.end('""');
    const id = lastId(live.wire);

    for (const wrong of ['-0-0', '-0-1', '-1-2', '-01-1', '-1-01', '-1-00', '-2-3', '-3-1'])
      expect(() => replay.find(id.replace(/-1-1$/, wrong)), wrong).toThrow('no stream of this session');
  });

  test('has nothing more for an id that was given out, of a stream of which nothing is kept any more', () => {
    const { replay, open, lastId } = setup(limitsWith({ replayEvents: 1 }));
    const [over, live] = [open(), open()];
    over.stream.send('"over"');
    const id = lastId(over.wire);
    over.stream.end();
    live.stream.send('"live"');

    expect(replay.find(id)).toBeUndefined();
  });

  test('is not found by ids of other sessions, of streams that never were, or with more to them', () => {
    const [one, other] = [setup(), setup()];
    const [mine, foreign] = [one.open(), other.open()];
    for (const { stream } of [mine, foreign]) stream.send('""');
    const id = one.lastId(mine.wire);

    expect(one.replay.find(id)).toMatchObject({ after: 1 });
    for (const wrong of [other.lastId(foreign.wire), id.replace(/-1-/, '-2-'), `${id}-1`, `${id}x`])
      expect(() => one.replay.find(wrong)).toThrow('no stream of this session');
  });
});

describe('A client that polls', () => {
  test('is told where it is before anything else, and again when it comes back', () => {
    const { replay, connect, open, lastId } = setup(limitsWith({ pollDelay: 77 }), true);
    const { wire, stream } = open();
    expect(wire.written[0]).toMatch(/^id: \w+-1-0\nretry: 77\ndata: \n\n$/);
    stream.send('"one"');
    const position = replay.find(lastId(wire));
    const back = connect();
    position?.stream.attach(back.connection, position.after);

    expect(back.wire.written).toEqual([`id: ${lastId(wire)}\nretry: 77\ndata: \n\n`]);
  });

  test('of an older revision is told nothing of the kind', () => {
    const { open } = setup();

    expect(open().wire.written).toEqual([]);
  });
});
