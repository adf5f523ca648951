// kill -9 during load, again and again: no answered call is missing from the log, and no process is left.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { type AuditRow, type CallRow, queryAudit } from '../../src/audit/query.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { BIN, fixture, ROOT, runCli, type Workspace, workspace } from '../integration/harness/gateway.ts';
import { callTool } from '../integration/harness/modern-call.ts';
import { alive, descendants, marked } from '../upstream/mcp/processes.ts';

const ROUNDS = 10;
const LANES = 8;
/** Calls that never end by themselves: what they leave in the log is an intent without an outcome. */
const HANGING = 3;
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Without one the gateway looks for the process of each connection, which it cannot always find when it runs as another user. */
const token = randomBytes(24).toString('hex');

const marker = randomBytes(8).toString('hex');
const started = new Set<ChildProcess>();
afterAll(() => {
  started.forEach((child) => child.kill('SIGKILL'));
  for (const pid of alive(marked(marker))) process.kill(pid, 'SIGKILL');
});

/** A server with relatives: one of its own kind, one orphan in a session of its own, both deaf to polite signals. */
function family(): Entry {
  const forever = `trap "" TERM HUP INT; while :; do sleep 30; done`;
  const orphan = `(setsid sh -c '${forever}' >/dev/null 2>&1 </dev/null &);`;
  const server = `exec '${process.execPath}' '${join(ROOT, 'fixtures/servers/echo-stdio.ts')}'`;
  return { command: 'sh', args: ['-c', `sh -c '${forever}' >/dev/null 2>&1 </dev/null & ${orphan} ${server}`] };
}

function configOf(entry: Entry): object {
  const auth = { tokens: [{ id: 'load', token }] };
  return { mcpServers: { echo: { ...entry, env: { MARKER: marker } } }, auth };
}

/** Where a user may not have namespaces, the relatives of a server can escape, as `mcp-gateway servers NAME` says. */
async function containmentFor(place: Workspace, user: number | undefined): Promise<string> {
  const gateway = await start(place, user);
  await callTool(gateway.url, 'echo__pid', { token });
  const { stdout } = await runCli(['servers', 'echo', '--json', '--config', place.config, '--state', place.state]);
  gateway.process.kill('SIGTERM');
  await once(gateway.process, 'exit');
  return (JSON.parse(stdout) as { containment: string }).containment;
}

interface Entry {
  readonly command: string;
  readonly args: readonly string[];
}

interface Gateway {
  readonly process: ChildProcess;
  readonly url: string;
}

async function start({ config, state }: Workspace, user: number | undefined): Promise<Gateway> {
  const command = [
    process.execPath,
    BIN,
    'serve',
    '--port',
    '0',
    '--config',
    config,
    '--state',
    state,
    '--log-level',
    'error',
  ];
  const asUser = user === undefined ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--'];
  const [program = '', ...args] = [...asUser, ...command];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' });
  started.add(child);
  const failed = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`the gateway ended with ${String(code)}`)),
  );
  const [url] = (await Promise.race([once(createInterface(child.stdout), 'line'), failed])) as [string];
  failed.catch(() => undefined); // from here on the tests end it
  return { process: child, url };
}

/** Calls without a pause until the gateway is gone; resolves with the traces of the calls that were answered. */
async function load(url: string, { onAnswer }: { onAnswer: (count: number) => void }): Promise<Set<string>> {
  const answered = new Set<string>();
  const agent = new Agent({ keepAlive: true });
  const lane = async () => {
    for (;;) {
      const trace = randomBytes(16).toString('hex');
      const options = { agent, token, args: { text: trace }, traceparent: `00-${trace}-${trace.slice(0, 16)}-01` };
      const answer = await callTool(url, 'echo__echo', options).catch(() => undefined);
      if (!answer) return;
      expect(answer.result?.content).toEqual([{ type: 'text', text: trace }]);
      answered.add(trace);
      onAnswer(answered.size);
    }
  };
  const hang = () => callTool(url, 'echo__slow', { token, args: { ms: 600_000 } }).catch(() => undefined);
  await Promise.all([...Array.from({ length: LANES }, lane), ...Array.from({ length: HANGING }, hang)]);
  agent.destroy();
  return answered;
}

function callsIn(place: Workspace): CallRow[] {
  const isCall = (row: AuditRow): row is CallRow => row.kind === 'call';
  return [...queryAudit(join(place.state, 'audit'))].filter(isCall);
}

function spaceFor(user: number | undefined): Workspace {
  const place = workspace(configOf(family()));
  mkdirSync(place.state, { mode: 0o700 });
  if (user === undefined) return place;
  chmodSync(place.directory, 0o755);
  chownSync(place.state, user, user);
  return place;
}

const users: [string, number | undefined][] = [
  ['the user of the test', undefined],
  ...(isRoot ? [['another user', NOBODY] as [string, number]] : []),
];

test.each(users)('killed during load as %s, it loses no answered call and leaves no process', async (_, user) => {
  const place = spaceFor(user);
  if ((await containmentFor(place, user)) === 'process-group')
    place.write('mcp-gateway.json', configOf(fixture('echo-stdio.ts')));
  const answered = new Set<string>();

  for (let round = 1; round <= ROUNDS; round += 1) {
    const gateway = await start(place, user);
    const enough = 50 + Math.floor(Math.random() * 200);
    let below: number[] = [];
    const lanes = load(gateway.url, {
      onAnswer: (count) => {
        if (count !== enough) return;
        below = descendants(gateway.process.pid!);
        gateway.process.kill('SIGKILL');
      },
    });
    for (const trace of await lanes) answered.add(trace);
    expect(gateway.process.signalCode ?? (await once(gateway.process, 'exit'))).toBeTruthy();

    expect(below.length).toBeGreaterThan(0);
    await expect
      .poll(() => alive([...new Set([...below, ...marked(marker)])]), { timeout: 1_000, interval: 20 })
      .toEqual([]);
    const ended = new Set(callsIn(place).flatMap(({ trace, status }) => (status === 'ok' ? [trace.slice(0, 32)] : [])));
    expect([...answered].filter((trace) => !ended.has(trace))).toEqual([]);
    expect(verifyAudit(join(place.state, 'audit'))).toMatchObject({ ok: true });
  }

  const last = await start(place, user);
  const { result } = await callTool(last.url, 'echo__echo', { token, args: { text: 'still here' } });
  expect(result?.content).toEqual([{ type: 'text', text: 'still here' }]);
  const calls = callsIn(place);
  expect(calls.filter(({ status }) => status === 'in flight')).toEqual([]);
  expect(calls.filter(({ status }) => status === 'unknown').length).toBeGreaterThanOrEqual(ROUNDS * HANGING);
  expect(answered.size).toBeGreaterThanOrEqual(ROUNDS * 50);
  last.process.kill('SIGTERM');
  expect(await once(last.process, 'exit')).toEqual([143, null]);
  expect(verifyAudit(join(place.state, 'audit'))).toMatchObject({ ok: true });
  place.remove();
});
