// Loopback without tokens: clients are served, processes of servers behind the gateway are not, however they come.
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, type RunningGateway, ROOT, startGateway } from './harness/gateway.ts';
import { modern, resultOf, send, type Sent } from './harness/raw.ts';

const linux = process.platform === 'linux';
const calling = { command: process.execPath, args: [join(ROOT, 'test/integration/harness/calling-server.ts')] };
const config = { mcpServers: { calling, echo: fixture('echo-stdio.ts') } };

/** The request as bytes, for processes that speak no HTTP. */
function bytesOf(origin: string, { path = '', headers = {}, body = '' }: Sent): string {
  const lines = Object.entries({ Host: new URL(origin).host, 'Content-Length': String(body.length), ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body.toString()}`;
}

const echo = (text: string) => modern('tools/call', { name: 'echo__echo', arguments: { text } });

/** Scripts that send a request from where they run, and print what comes back. */
const SEND = `const [port, host, bytes] = process.argv.slice(1);
const socket = require('net').connect(port, host, () => socket.write(bytes));
socket.on('data', (data) => { process.stdout.write(data); socket.end(); });`;

const DAEMON = `const { spawn } = require('child_process');
const child = spawn('setsid', [process.execPath, '-e', process.argv[1], ...process.argv.slice(2)], { stdio: 'inherit', detached: true });
child.unref(); process.exit();`;

const SEND_AND_CLOSE = `const [port, host, bytes] = process.argv.slice(1);
const socket = require('net').connect(port, host, () => socket.end(bytes, () => socket.destroy()));
socket.on('close', () => console.log('closed'));`;

const OWN_TABLE = `
import ctypes, socket, sys, threading
def work():
    ctypes.CDLL(None).unshare(0x400)
    s = socket.create_connection((sys.argv[2], int(sys.argv[1])))
    s.sendall(sys.argv[3].encode())
    print(s.recv(65536).decode())
t = threading.Thread(target=work); t.start(); t.join()`;

const ON_ITS_WAY = `
import array, socket, sys, time
a, b = socket.socketpair()
s = socket.create_connection((sys.argv[2], int(sys.argv[1])))
s.sendall(sys.argv[3].encode())
a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [s.fileno()]))])
s.close()
time.sleep(1)
_, (data, *_), _, _ = b.recvmsg(1, socket.CMSG_LEN(4))
fd = array.array('i'); fd.frombytes(data[2])
print(socket.socket(fileno=fd[0]).recv(65536).decode())`;

const CLOSED_WHILE_READING = `
import os, socket, sys, threading, time
s = socket.create_connection((sys.argv[2], int(sys.argv[1])))
got = []
t = threading.Thread(target=lambda: got.append(s.recv(65536))); t.start()
time.sleep(0.2)
s.sendall(sys.argv[3].encode())
os.close(s.fileno())
t.join(10)
print(got[0].decode() if got else 'nothing', flush=True)
os._exit(0)`;

const NODE = process.execPath;
/** Three of the ways need calls of the system that Node does not have. */
const PYTHON = linux
  ? execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()
  : '';

const WAYS: [string, string[], RegExp][] = [
  ['a process of it', [NODE, '-e', SEND], /comes from a process of a server/],
  ['a daemon that it leaves', [NODE, '-e', DAEMON, SEND], /comes from a process of a server/],
  ['a thread with descriptors of its own', [PYTHON, '-c', OWN_TABLE], /comes from a process of a server/],
  [
    'one that hides its connection on its way',
    [PYTHON, '-c', ON_ITS_WAY],
    /comes from a process of a server|could not find out whose/,
  ], // it may be found before it hides
  // the kernel keeps the connection for the thread that reads, in no table of descriptors
  [
    'one that closes the descriptor while it reads from it',
    [PYTHON, '-c', CLOSED_WHILE_READING],
    /server|could not find out whose/,
  ],
];

describe.skipIf(!linux)('A server behind the gateway', () => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({ config });
    await gateway.attempted();
  });
  afterAll(() => gateway.stop());

  const run = async (argv: readonly string[]) => {
    const answer = await send(
      gateway.origin,
      modern('tools/call', { name: 'calling__run', arguments: { argv: [...argv] } }),
    );
    return ((resultOf(answer).content as { text: string }[])[0] ?? { text: '' }).text;
  };
  const target = (host: string) => [new URL(gateway.origin).port, host, bytesOf(gateway.origin, echo('as local'))];

  test.each(WAYS)('calls nothing by %s', async (_what, argv, words) => {
    for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      const told = await run([...argv, ...target(host)]);
      expect(told).toContain('403 Forbidden');
      expect(told).toMatch(words);
      expect(told).toMatch(/auth\.tokens/);
    }
    expect(await echoed()).toBe(0);
  });

  test('calls nothing by sending and closing at once', async () => {
    for (let round = 0; round < 20; round++) await run([NODE, '-e', SEND_AND_CLOSE, ...target('127.0.0.1')]);

    expect(await echoed()).toBe(0);
  });

  test('calls nothing over the control socket, although it knows the path', async () => {
    const socket = join(gateway.state, 'control.sock');
    const { path = '', headers = {}, body = '' } = echo('as local');
    const lines = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${String(value)}`]);
    const told = await run([
      'curl',
      '-sS',
      '--unix-socket',
      socket,
      ...lines,
      '-d',
      String(body),
      `http://localhost${path}`,
    ]);

    expect(told).toMatch(/control_key_required|Could not connect|couldn't connect/i);
    expect(await echoed()).toBe(0);
  });

  test('is recorded as one that was refused', async () => {
    await run([NODE, '-e', SEND, ...target('127.0.0.1')]);
    const { stdout } = await gateway.cli('audit', 'query', '--kind', 'event', '--json');

    expect(stdout).toContain('comes from a process of a server');
  });

  test('keeps no client out: many at once, and each request of a connection that is kept', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) => send(gateway.origin, echo(`client ${at}`))),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const { stdout } = await promisify(execFile)('curl', ['-sS', `${gateway.origin}/livez`, `${gateway.origin}/livez`]);
    expect(stdout).toBe('{"status":"ok"}{"status":"ok"}');
  });

  /** How often the tool was called as `local` by a server. */
  async function echoed(): Promise<number> {
    const { stdout } = await gateway.cli('audit', 'query', '--json', '--tool', 'echo__echo', '--limit', '1000');
    return stdout.split('\n').filter((line) => line.includes('"exposed":"echo__echo"')).length;
  }
});
