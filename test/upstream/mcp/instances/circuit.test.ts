// The circuit of a server: closed while it serves, open after failures in a row, half open for one probe at a time.
import { expect, test } from 'vitest';
import { GatewayError } from '../../../../src/core/errors.ts';
import { Circuit, isServerFailure } from '../../../../src/upstream/mcp/instances/circuit.ts';
import { SessionLost } from '../../../../src/upstream/mcp/wire/wire.ts';

class Clock {
  ms = 1_000;
  readonly now = () => this.ms;
}

function opened(): { clock: Clock; circuit: Circuit } {
  const clock = new Clock();
  const circuit = new Circuit(clock.now);
  for (let failure = 1; failure <= 5; failure++) {
    expect(circuit.admit()).toBe('call');
    expect(circuit.failed()).toBe(failure === 5);
    circuit.ended('call');
  }
  return { clock, circuit };
}

test('five failures in a row open it, and it is told once', () => {
  const { circuit } = opened();

  expect(circuit.state).toBe('open');
  expect(circuit.retryAfterMs).toBe(5_000);
  expect(circuit.admit()).toBeUndefined();
  expect(circuit.failed()).toBe(false); // a call that had begun before
  expect(circuit.retryAfterMs).toBe(5_000);
});

test('one answer between failures starts the count anew', () => {
  const circuit = new Circuit(() => 0);
  for (let round = 0; round < 3; round++) {
    for (let failure = 1; failure <= 4; failure++) expect(circuit.failed()).toBe(false);
    circuit.succeeded();
  }

  expect(circuit.state).toBe('closed');
  expect(circuit.admit()).toBe('call');
});

test('after its time one probe may pass at a time, whatever becomes of calls that began before', () => {
  const { clock, circuit } = opened();

  clock.ms += 4_999;
  expect(circuit.admit()).toBeUndefined();
  clock.ms += 1;
  expect(circuit.state).toBe('half-open');
  expect(circuit.admit()).toBe('probe');
  circuit.ended('call');
  expect(circuit.admit()).toBeUndefined();
  circuit.ended('probe'); // its caller gave up: nothing is known
  expect(circuit.admit()).toBe('probe');
});

test('a probe that fails doubles the time, up to a minute; one that is answered closes it', () => {
  const { clock, circuit } = opened();
  const waits: number[] = [];

  for (let probe = 0; probe < 6; probe++) {
    clock.ms += circuit.retryAfterMs;
    expect(circuit.admit()).toBe('probe');
    expect(circuit.failed()).toBe(false);
    circuit.ended('probe');
    waits.push(circuit.retryAfterMs);
  }
  clock.ms += circuit.retryAfterMs;
  circuit.admit();
  circuit.succeeded();

  expect(waits).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  expect(circuit.state).toBe('closed');
  expect(circuit.retryAfterMs).toBe(0);
  expect([circuit.admit(), circuit.admit()]).toEqual(['call', 'call']);
  expect(circuit.failed()).toBe(false);
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
