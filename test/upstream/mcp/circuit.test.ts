// The circuit of a server: closed while it serves, open after failures in a row, half open for one probe at a time.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import { Circuit, isServerFailure } from '../../../src/upstream/mcp/era-upstream.ts';
import { SessionLost } from '../../../src/upstream/mcp/wire/wire.ts';

const BROKEN = { target: 'tools/call do', timedOut: false, answersBefore: 0 };

class Clock {
  ms = 1_000;
  readonly now = () => this.ms;
}

function opened(): { clock: Clock; circuit: Circuit } {
  const clock = new Clock();
  const circuit = new Circuit(clock.now);
  for (let failure = 1; failure <= 5; failure++) {
    expect(circuit.admit('tools/call do')).toBe('call');
    expect(circuit.failed(BROKEN)).toBe(failure === 5);
    circuit.ended('call');
  }
  return { clock, circuit };
}

test('five failures in a row open it, and it is told once', () => {
  const { circuit } = opened();

  expect(circuit.state).toBe('open');
  expect(circuit.retryAfterMs).toBe(5_000);
  expect(circuit.admit('tools/call do')).toBeUndefined();
  expect(circuit.failed(BROKEN)).toBe(false); // a call that had begun before
  expect(circuit.retryAfterMs).toBe(5_000);
});

test('one answer between failures starts the count anew', () => {
  const circuit = new Circuit(() => 0);
  for (let round = 0; round < 3; round++) {
    for (let failure = 1; failure <= 4; failure++) expect(circuit.failed(BROKEN)).toBe(false);
    circuit.succeeded();
  }

  expect(circuit.state).toBe('closed');
  expect(circuit.admit('tools/call do')).toBe('call');
});

test('after its time one probe may pass at a time, whatever becomes of calls that began before', () => {
  const { clock, circuit } = opened();

  clock.ms += 4_999;
  expect(circuit.admit('tools/call do')).toBeUndefined();
  clock.ms += 1;
  expect(circuit.state).toBe('half-open');
  expect(circuit.admit('tools/call do')).toBe('probe');
  circuit.ended('call');
  expect(circuit.admit('tools/call do')).toBeUndefined();
  circuit.ended('probe'); // its caller gave up: nothing is known
  expect(circuit.admit('tools/call do')).toBe('probe');
});

test('a probe that fails doubles the time, up to a minute; one that is answered closes it', () => {
  const { clock, circuit } = opened();
  const waits: number[] = [];

  for (let probe = 0; probe < 6; probe++) {
    clock.ms += circuit.retryAfterMs;
    expect(circuit.admit('tools/call do')).toBe('probe');
    expect(circuit.failed(BROKEN)).toBe(false);
    circuit.ended('probe');
    waits.push(circuit.retryAfterMs);
  }
  clock.ms += circuit.retryAfterMs;
  circuit.admit('tools/call do');
  circuit.succeeded();

  expect(waits).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  expect(circuit.state).toBe('closed');
  expect(circuit.retryAfterMs).toBe(0);
  expect([circuit.admit('tools/call do'), circuit.admit('tools/call do')]).toEqual(['call', 'call']);
  expect(circuit.failed(BROKEN)).toBe(false);
});

test('what it refuses says when the server is tried again', () => {
  const { clock, circuit } = opened();
  clock.ms += 1_500;

  expect(circuit.refusal('s')).toMatchObject({
    code: 'upstream_unreachable',
    message: 'The server "s" is not given calls for now: the last ones failed. It is tried again in 4 s.',
  });
});

test('an answer that is late, cut or missing says something of the server; a caller that gives up does not', () => {
  expect([new SessionLost('x'), new GatewayError('upstream_timed_out', 'x')].map(isServerFailure)).toEqual([
    true,
    true,
  ]);
  expect([new GatewayError('cancelled', 'x'), new Error('x')].map(isServerFailure)).toEqual([false, false]);
});

/** A call that runs out of time. */
const hangs = (circuit: Circuit, target: string, answersBefore = circuit.answers) =>
  circuit.failed({ target, timedOut: true, answersBefore });

test('a time-out says nothing where the server has answered anything since the call was sent', () => {
  const circuit = new Circuit(() => 0);
  for (let round = 0; round < 20; round++) {
    const answersBefore = circuit.answers;
    circuit.succeeded();
    expect(hangs(circuit, `tools/call ${round % 2}`, answersBefore)).toBe(false);
  }

  expect(circuit.isClosed).toBe(true);
});

test.each(['slow', 'well'])(
  'time-outs of one target refuse that target alone, until an answer of "%s" comes',
  (answers) => {
    const clock = new Clock();
    const circuit = new Circuit(clock.now);

    expect([1, 2, 3, 4, 5].map(() => hangs(circuit, 'slow'))).toEqual([false, false, false, false, true]);
    expect(circuit.onlyTarget).toBe('slow');
    expect([circuit.admit('slow'), circuit.admit('well'), circuit.admit('well')]).toEqual([undefined, 'call', 'call']);
    expect(circuit.refusal('s').message).toMatch(
      /^The server "s" is not given this call for now: the last ones like it ran/,
    );
    clock.ms += circuit.retryAfterMs;
    expect([circuit.admit('slow'), circuit.admit('slow')]).toEqual(['probe', undefined]);
    if (answers === 'well') expect(circuit.admit('well')).toBe('call');
    circuit.succeeded();

    expect([circuit.isClosed, circuit.onlyTarget, circuit.admit('slow')]).toEqual([true, undefined, 'call']);
  },
);

test('a server that hangs entirely is refused entirely: with one target or many, from the first on', () => {
  const one = new Circuit(() => 0);
  const several = new Circuit(() => 0);
  const later = new Circuit(() => 0);

  for (let call = 0; call < 5; call++) hangs(one, 'only');
  for (let call = 0; call < 5; call++) hangs(several, `tool ${call}`);
  const first = [1, 2, 3, 4, 5].map(() => hangs(later, 'slow')).at(-1);

  expect(one.admit('only')).toBeUndefined();
  expect(several.onlyTarget).toBeUndefined();
  expect([several.admit('tool 1'), several.admit('another')]).toEqual([undefined, undefined]);
  expect([first, later.admit('other')]).toEqual([true, 'call']);
  expect(hangs(later, 'other')).toBe(true);
  expect([later.onlyTarget, later.admit('other'), later.admit('third')]).toEqual([undefined, undefined, undefined]);
});

test('whatever happens, no call is refused of which nothing but time-outs of another target is known', () => {
  const step = fc.record({
    target: fc.constantFrom('a', 'b', 'c'),
    end: fc.constantFrom('answered', 'hung', 'hung', 'hung'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const circuit = new Circuit(() => 0);
      let row: string[] = [];
      for (const { target, end } of steps) {
        const pass = circuit.admit(target);
        const others = new Set(row.filter((each) => each !== target));
        if (pass === undefined) expect(row.includes(target) || others.size > 1, row.join()).toBe(true);
        if (pass === undefined) continue;
        if (end === 'answered') {
          circuit.succeeded();
          row = [];
        } else {
          hangs(circuit, target);
          row.push(target);
        }
        circuit.ended(pass);
      }
    }),
  );
});
