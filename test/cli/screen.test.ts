// The lines of the screen: bounded, safe for a terminal, and each change once.
import { expect, test, vi } from 'vitest';
import { Screen } from '../../src/cli/screen.ts';
import type { EndedCall } from '../../src/gateway/watcher.ts';
import { makeCall } from '../audit/bare-call.ts';
import type { ServerStatus } from '../../src/upstream/mcp/status.ts';

const STEERING = /[\p{Cc}\p{Cf}\u2028\u2029]/u;
const WHERE = { url: 'http://127.0.0.1:7420/mcp', needsToken: false };

function server(name: string, state: ServerStatus['state'], more: Partial<ServerStatus> = {}): ServerStatus {
  return { name, state, tools: 5, restarts: 0, ...more } as ServerStatus;
}

type End = Pick<EndedCall, 'status' | 'reason'>;

function ended(client: string, exposed: string, end: End): EndedCall {
  const target = { kind: 'tool', server: 's', exposed, original: exposed } as const;
  return { call: makeCall({ client: { name: client, version: '1' } }), target, requested: exposed, ...end };
}

/** A screen on a terminal that collects text, and the servers of its gateway. */
function open(servers: ServerStatus[], columns = 80) {
  let text = '';
  const screen = new Screen({ columns, write: (more) => (text += more) });
  return {
    screen,
    servers,
    begin: () => screen.begin({ servers: () => servers }, WHERE),
    /** The rows on the terminal, without those that were redrawn. */
    rows: () =>
      text
        .split('\n')
        .map((row) => row.slice(row.lastIndexOf('\u001b[K') + 1).replace('[K', ''))
        .slice(0, -1),
    clear: () => (text = ''),
  };
}

test('the start takes ten lines at most, and says how many are ready, what failed and why, and how clients connect', () => {
  const failed = Array.from({ length: 20 }, (_, at) =>
    server(`bad${at}`, 'waiting', { lastError: `no such file ${at}` }),
  );
  const { screen, begin, rows } = open([server('a', 'ready'), server('b', 'idle'), ...failed]);
  screen.log({ level: 'warn', msg: 'c.json:1:2 limits.depth warning: it is large\n  "depth": 1000\n  ^' });
  for (let count = 0; count < 5; count++) screen.log({ level: 'warn', msg: `early ${count}` });

  begin();

  const shown = rows();
  expect(shown.length).toBeLessThanOrEqual(10);
  expect(shown[0]).toMatch(/^mcp-gateway \S+ at http:\/\/127\.0\.0\.1:7420\/mcp$/);
  expect(shown).toContain('  Claude Code  claude mcp add --transport http gw http://127.0.0.1:7420/mcp');
  expect(shown.join('\n')).toMatch(/^2 of 22 servers ready, 10 tools, \d+ ms$/m);
  expect(shown).toContain('  bad0  failed: no such file 0');
  expect(shown.at(-2)).toMatch(/^ {2}and 19 more: .*servers$/);
  expect(shown.at(-1)).toMatch(/^ {2}1 warning in the configuration: .*config validate$/);
});

test('what is logged before the start and is not of the configuration is shown, not counted as a warning in it', () => {
  const { screen, begin, rows } = open([server('a', 'ready')]);
  screen.log({ level: 'warn', msg: '/state/state.db was damaged' });

  begin();

  expect(rows()).toContain('warning: /state/state.db was damaged');
  expect(rows().at(-1)).toMatch(/^1 server ready, /);
});

test('a problem names its file as it is reached from here, so that what is wrong is not cut', () => {
  const place = `${process.cwd()}/servers.d/a-file-of-some-name.json:10:20`;
  const { screen, begin, rows, clear } = open([server('a', 'invalid', { lastError: `${place} is odd` })]);
  begin();
  expect(rows().at(-1)).toBe('  a  failed: servers.d/a-file-of-some-name.json:10:20 is odd');
  clear();

  screen.log({ level: 'error', msg: `${place} is odd` });

  expect(rows()).toEqual(['error: servers.d/a-file-of-some-name.json:10:20 is odd']);
});

test('while servers start, one line says how far they are; when all have been tried it stays', async () => {
  const { screen, servers, begin, rows } = open([server('a', 'ready'), server('slow', 'connecting', { tools: 0 })]);
  begin();
  expect(rows().join('\n')).not.toContain('ready');
  screen.callEnded(ended('claude-code', 'a__echo', { status: 'ok' }));
  expect(rows().at(-1)).toMatch(/^claude-code {2}a__echo {2}ok {2}\d+ ms$/);

  servers[1] = server('slow', 'ready');
  screen.serverChanged('slow');

  await expect.poll(() => rows().at(-1)).toMatch(/^2 servers ready, 10 tools, /);
});

test('a server that does not come up hides no longer than 10 s what became of the others', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setImmediate', 'performance'] });
  try {
    const { screen, servers, begin, rows } = open([
      server('a', 'ready'),
      server('bad', 'waiting', { lastError: 'no disk' }),
      server('hung', 'connecting', { tools: 0 }),
    ]);
    begin();
    vi.advanceTimersByTime(9_500);
    expect(rows().join('\n')).not.toContain('bad');
    vi.advanceTimersByTime(1_000);
    expect(rows().slice(-2)).toEqual([
      '1 of 3 servers ready, 5 tools, 10.0 s, waiting for hung',
      '  bad  failed: no disk',
    ]);

    servers[2] = server('hung', 'ready');
    screen.serverChanged('hung');
    vi.advanceTimersByTime(1);
    expect(rows().at(-1)).toBe('  hung  ready, 5 tools');
  } finally {
    vi.useRealTimers();
  }
});

test('the line of a call that failed says why before it is cut', () => {
  const { screen, begin, rows, clear } = open([server('a', 'ready')]);
  begin();
  clear();

  const cause = 'The server "a" went away while it was started: The process ended. Its last words on stderr: no disk';
  screen.callEnded(
    ended('cli', 'a__echo', { status: 'unreachable', reason: `The server "a" is not available: ${cause}` }),
  );
  const late = 'The server "a" did not answer tools/call within 3 s.';
  screen.callEnded(ended('cli', 'a__echo', { status: 'timed_out', reason: late }));

  expect(rows()[0]).toMatch(/ms {2}no disk$/);
  expect(rows()[1]).toMatch(/ms {2}did not answer tools\/call within 3 s\.$/);
});

test('a server that fails later, or is back, is told once', async () => {
  const { screen, servers, begin, rows, clear } = open([server('a', 'ready')]);
  begin();
  clear();
  const cause = 'The server "a" went away during the call: The process of "x" ended. Its last line on stderr: no disk';
  for (const next of [
    server('a', 'waiting', { lastError: cause }),
    server('a', 'connecting'),
    server('a', 'waiting', { lastError: cause }),
    server('a', 'ready'),
  ]) {
    servers[0] = next;
    screen.serverChanged('a');
    await new Promise(setImmediate);
  }

  expect(rows()).toEqual(['  a  failed: no disk', '  a  ready again, 5 tools']);
});

test('of more than 20 calls in a second the rest is counted', async () => {
  const { screen, begin, rows, clear } = open([server('a', 'ready')]);
  begin();
  clear();

  for (let at = 0; at < 300; at += 1)
    screen.callEnded(ended('busy', 'a__echo', { status: at < 290 ? 'ok' : 'refused', reason: 'no' }));

  expect(rows()).toHaveLength(20);
  await expect
    .poll(() => rows().at(-1), { timeout: 10_000 })
    .toBe('… and 280 more calls in this second, 10 of them not ok');
  expect(rows()).toHaveLength(21);
});

test('nothing that clients and servers call themselves or say steers the terminal or takes more than its row', () => {
  const hostile = `\u001b[2J\u001b]0;x\u0007\r\nFAKE  ok\u202e${'long '.repeat(100)}`;
  const { screen, begin, rows, clear } = open([server('a', 'ready')], 60);
  begin();
  clear();

  screen.callEnded(ended(hostile, hostile, { status: 'tool_error', reason: hostile }));
  screen.event('authentication_failed', { address: hostile, reason: hostile });
  screen.reloaded({ touched: [hostile], again: false });

  expect(rows()).toHaveLength(3);
  for (const row of rows()) {
    expect(row).not.toMatch(STEERING);
    expect(row.length).toBeLessThanOrEqual(60);
  }
});

test('an error of the log is shown with what is wrong in the configuration', () => {
  const { screen, begin, rows, clear } = open([]);
  begin();
  clear();

  screen.log({ level: 'error', msg: 'c.json:1:2 this is not JSON\n  {x\n   ^' });
  screen.log({ level: 'error', msg: 'a request failed', err: { message: 'why' } });

  expect(rows()).toEqual(['error: c.json:1:2 this is not JSON', '    {x', '     ^', 'error: a request failed: why']);
});
