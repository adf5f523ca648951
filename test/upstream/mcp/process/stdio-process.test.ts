// One server process: lines in both directions, failures to start, the kept end of stderr, and its end.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { boundsWith } from '../../../../src/core/bounds/bounds.ts';
import { childEnvironment } from '../../../../src/upstream/mcp/process/environment.ts';
import { containmentsFor } from '../../../../src/upstream/mcp/process/containment/detect.ts';
import { StdioProcess } from '../../../../src/upstream/mcp/process/stdio-process.ts';
import { alive, containment, descendants, fixture, marked, observe } from '../processes.ts';

const node = process.execPath;
const script = (source: string) => ({ command: node, args: ['-e', source] });
const shell = (source: string) => ({ command: 'sh', args: ['-c', source] });
/** A containment without a wrapper, which would hold the pipes open and keep signals from the server. */
const [withoutWrapper] = containmentsFor({ platform: 'darwin', uid: 501, gid: 20, tools: {} });
const plain = () => Promise.resolve(withoutWrapper);
const directory = () => {
  const path = mkdtempSync(join(tmpdir(), 'stdio-process-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
};

test('a line that is sent reaches the server, and its answer comes back as a line', async () => {
  const { server, line } = observe({ command: 'cat' });
  await server.start();

  server.send('{"text":"grüße 🎈"}');

  expect(await line(() => true)).toBe('{"text":"grüße 🎈"}');
});

test('an argument with shell syntax arrives as it is written', async () => {
  const { server, exited, lines } = observe({ command: 'printf', args: ['%s\\n', '$HOME; `id` && "x" *'] });

  await server.start();
  await exited;

  expect(lines).toEqual(['$HOME; `id` && "x" *']);
});

test('the environment of the server is exactly what was declared', async () => {
  process.env.GATEWAY_CANARY = 'must-not-be-inherited';
  onTestFinished(() => {
    delete process.env.GATEWAY_CANARY;
  });
  const env = childEnvironment({ DECLARED: 'yes', 'odd.name': 'too' }, process.env);
  const { server, line } = observe({ command: node, args: [fixture('report-environment.ts')], env });

  await server.start();

  expect(JSON.parse(await line(() => true))).toEqual(env);
});

test('a line with a line break is refused, so one message cannot become two', async () => {
  const { server } = observe({ command: 'cat' });
  await server.start();

  expect(() => server.send('{}\n{}')).toThrow(expect.objectContaining({ code: 'internal' }));
  expect(() => server.send('{}\r{}')).toThrow(expect.objectContaining({ code: 'internal' }));
});

test('a line over the limit is reported once, and the next one is fine', async () => {
  const { server, lines, dropped, exited } = observe({
    ...script(`process.stdout.write('a'.repeat(5_000_000) + '\\n{"ok":true}\\n')`),
    maxMessageBytes: 1000,
  });

  await server.start();
  await exited;

  expect(lines).toEqual(['{"ok":true}']);
  expect(dropped).toHaveLength(1);
  expect(dropped[0]?.bytes).toBeGreaterThan(1000);
});

test.for([
  ['contained', containment],
  ['without a wrapper', plain],
] as const)('everything that the server wrote comes before its exit, which is reported once (%s)', async ([, way]) => {
  const { server, lines, exits, exited } = observe({
    ...script(`for (let i = 0; i < 50_000; i++) console.log(i)`),
    containment: way,
  });

  await server.start();
  await exited;

  expect(lines).toHaveLength(50_000);
  await server.stop();
  expect(exits).toEqual([{ message: `The process of "${node}" ended with exit code 0 without being asked to.` }]);
});

test.for([
  ['its exit code', 'exit 3', 'ended with exit code 3 without being asked to'],
  ['its signal', 'kill -SEGV $$', 'was ended by SIGSEGV'],
] as const)('the exit message tells %s', async ([, source, expected]) => {
  const { server, exited } = observe({ ...shell(source), containment: plain });

  await server.start();

  expect((await exited).message).toContain(expected);
});

test('what a server said last on stderr is told apart from how it ended', async () => {
  const { server, exited } = observe({ ...shell('echo first >&2; echo "cannot open database" >&2; exit 1') });

  await server.start();

  expect(await exited).toMatchObject({
    message: 'The process of "sh" ended with exit code 1 without being asked to.',
    detail: 'Its last words on stderr: cannot open database',
  });
});

test('a server killed from outside is reported with its signal', async () => {
  const marker = randomUUID();
  const { server, line, exited } = observe({ command: 'cat', env: { PATH: process.env.PATH!, MARKER: marker } });
  await server.start();
  server.send('{}');
  await line(() => true);

  process.kill(Math.max(...marked(marker)), 'SIGKILL');

  const message = 'The process of "cat" was ended by SIGKILL without being asked to.';
  expect(await exited).toEqual({ message });
});

test.for([
  [
    'a binary that does not exist',
    { command: 'no-such-program-anywhere' },
    ['no-such-program-anywhere', 'PATH', 'Install it'],
  ],
  ['a path that does not exist', { command: './no/such/file' }, ['/no/such/file', 'does not exist']],
  [
    'a working directory that is missing',
    { command: 'cat', cwd: '/no/such/directory' },
    ['/no/such/directory', '`cwd`'],
  ],
  ['a working directory that is a file', { command: 'cat', cwd: node }, [node, 'not a directory']],
  ['arguments that are too long', { command: 'cat', args: ['x'.repeat(4_000_000)] }, ['cat', 'E2BIG']],
] as const)('%s fails the start, and says what to do', async ([, options, words]) => {
  const { server, exits } = observe(options);

  const failure = server.start();

  await expect(failure).rejects.toMatchObject({ code: 'upstream_unreachable' });
  for (const word of words) await expect(failure).rejects.toThrow(word);
  expect(server.pid).toBeUndefined();
  expect(() => server.send('{}')).toThrow(expect.objectContaining({ code: 'upstream_closed' }));
  await server.stop();
  expect(exits).toEqual([]);
  expect(alive(descendants(process.pid))).toEqual([]);
});

test('a file that is not executable fails the start with advice', async () => {
  const file = join(directory(), 'server.py');
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o644);

  await expect(observe({ command: file }).server.start()).rejects.toThrow(`chmod +x ${file}`);
});

test('a script whose interpreter is missing tells so in its exit', async () => {
  const file = join(directory(), 'server');
  writeFileSync(file, '#!/no/such/interpreter\n');
  chmodSync(file, 0o755);
  const { server, exited } = observe({ command: file });

  const message = await server.start().then(
    async () => JSON.stringify(await exited),
    (error: unknown) => String(error),
  );

  expect(message).toMatch(/ENOENT|No such file/u);
});

test('a server that ends when its input closes is stopped without being killed', async () => {
  const { server, exits } = observe({ command: 'cat' });
  await server.start();

  const [first, second] = [server.stop(), server.stop()];
  await Promise.all([first, second]);

  expect(first).toBe(second);
  expect(exits).toEqual([{ message: 'The process of "cat" ended with exit code 0.' }]);
  expect(() => server.send('{}')).toThrow(
    expect.objectContaining({
      code: 'upstream_closed',
      message: 'The process of "cat" does not run. The gateway starts it again by itself; try again shortly.',
    }),
  );
});

test('a server that ignores the end of its input is killed after the grace, with its family', async () => {
  const marker = randomUUID();
  const { server, line, exits } = observe({
    command: fixture('family.sh'),
    args: ['deaf'],
    env: { PATH: process.env.PATH!, MARKER: marker },
    bounds: boundsWith({ serverStop: 100 }),
  });
  await server.start();
  await line((text) => text === 'ready');
  expect(marked(marker).length).toBeGreaterThanOrEqual(4);

  await server.stop();

  await expect.poll(() => marked(marker), { interval: 5, timeout: 1_000 }).toEqual([]);
  expect(exits[0]?.message).toContain('was killed, because it did not end when its input was closed');
});

test('while a server is stopping, a line goes nowhere, which is not an error', async () => {
  const { server, lines, exits } = observe({
    ...shell('exec 2>/dev/null; while read -r line; do echo "$line"; done; sleep 40'),
    bounds: boundsWith({ serverStop: 50 }),
  });
  await server.start();

  const stopped = server.stop();
  await new Promise(setImmediate);

  server.send('{}');
  expect(exits).toEqual([]);
  await stopped;
  expect(lines).toEqual([]);
});

test('a process starts only once', async () => {
  const { server } = observe({ command: 'cat' });
  await server.start();

  await expect(server.start()).rejects.toMatchObject({ code: 'internal' });
});

test('a stop during the start leaves nothing running', async () => {
  const marker = randomUUID();
  const { server, exits } = observe({ ...shell('sleep 30'), env: { PATH: process.env.PATH!, MARKER: marker } });

  const started = server.start();
  const stopped = server.stop();

  await expect(started).rejects.toMatchObject({ code: 'upstream_closed' });
  await stopped;
  expect(marked(marker)).toEqual([]);
  expect(exits).toEqual([]);
});

test.for([
  ['output', 'exec >&-; trap "" TERM; sleep 30', 'it closed its output'],
  ['input', 'exec <&-; echo ready; while :; do sleep 30; done', 'it closed its input'],
] as const)('a server that closes its %s but stays is killed', async ([, source, reason]) => {
  const { server, exited, line } = observe({
    ...shell(source),
    bounds: boundsWith({ serverStop: 50 }),
    containment: plain,
  });
  await server.start();

  if (reason.includes('input')) {
    await line(() => true);
    server.send('{}');
  }

  expect((await exited).message).toContain(reason);
});

test('input beyond what a server reads is queued up to a bound, and flows again when it reads', async () => {
  const marker = randomUUID();
  const observed = observe({
    ...script(`let bytes = 0; setInterval(() => {}, 60_000); console.log('ready');
      process.on('SIGUSR2', () => process.stdin.on('data', (d) => { bytes += d.length; if (bytes % 1048577 === 0) console.log(bytes); }))`),
    env: { PATH: process.env.PATH!, MARKER: marker },
  });
  const { server } = observed;
  await server.start();
  await observed.line((text) => text === 'ready');
  const mebibyte = 'ü'.repeat(512 * 1024);
  let sent = 0;

  const fill = () => {
    while (sent < 80 * 1024 * 1024) {
      server.send(mebibyte);
      sent += 1024 * 1024 + 1;
    }
  };

  expect(fill).toThrow(expect.objectContaining({ code: 'overloaded' }));
  expect(sent).toBeGreaterThan(60 * 1024 * 1024);
  expect(sent).toBeLessThan(66 * 1024 * 1024);
  for (const pid of marked(marker)) if (pid !== server.pid) process.kill(pid, 'SIGUSR2');
  await observed.line((text) => text === String(sent));
});

test('a server that floods stderr without a newline answers on, and its flood is not kept', async () => {
  const observed = observe({ command: node, args: [fixture('flood.ts'), '200'] });
  const { server } = observed;
  const before = process.memoryUsage().rss;
  let answers = 0;
  let peak = 0;
  let slowest = 0;
  await server.start();

  const flooded = observed.line((text) => text === 'flooded').then(() => true);
  while (!(await Promise.race([flooded, Promise.resolve(false)]))) {
    const asked = performance.now();
    const question = `{"question":${answers++}}`;
    server.send(question);
    await observed.line((text) => text === question);
    slowest = Math.max(slowest, performance.now() - asked);
    peak = Math.max(peak, process.memoryUsage().rss);
  }

  expect(answers).toBeGreaterThan(20);
  expect(slowest).toBeLessThan(2_000);
  expect(peak - before).toBeLessThan(150 * 1024 * 1024);
  expect(server.stderrTail().join('').length).toBeLessThanOrEqual(64 * 1024);
});

test('of stderr the last 200 lines are kept, without escapes, control characters and secrets', async () => {
  const { server, exited } = observe({
    ...script(`
      for (let i = 0; i < 1000; i++) console.error('line ' + i);
      process.stderr.write('\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07bell\\x07 over\\rwritten\\r\\n\\u202eflipped\\n');
      console.error('key sec\\x1b[1mret-to\\x1b[0mken-1 and ' + JSON.stringify('quote"d-secret') + ' and https://x/?k=a%2Fb%2Fc-key');
      console.error('overlap: abcdefgh');
      console.error('-----BEGIN-----\\nMIIBVgIBADANBgkq\\n-----END-----');`),
    redact: ['secret-token-1', 'quote"d-secret', 'a/b/c-key', 'abcdef', 'defgh', '', '--\nMIIBVgIBADANBgkq\n--'],
  });

  await server.start();
  await exited;

  const tail = server.stderrTail();
  expect(tail).toHaveLength(200);
  expect(tail.slice(-8)).toEqual([
    'line 998',
    'line 999',
    'red bell over',
    'written',
    'flipped',
    'key [redacted] and "[redacted]" and https://x/?k=[redacted]',
    'overlap: [redacted]',
    '-----BEGIN---[redacted]---END-----',
  ]);
});

test.for([1, 7, 15, 20])('a secret that the ring cut in two does not show its rest (%i bytes cut)', async (cut) => {
  const { server, exited } = observe({
    ...script(`process.stderr.write('secret-token-number-1' + 'x'.repeat(65536 - 21 + ${cut}))`),
    redact: ['secret-token-number-1'],
  });

  await server.start();
  await exited;

  expect(server.stderrTail().join('')).toMatch(/^x+$/u);
});

test('a handler that throws costs the server its process, and the gateway nothing', async () => {
  const exit = Promise.withResolvers<string>();
  const server = new StdioProcess(
    {
      command: 'yes',
      args: [],
      env: { PATH: process.env.PATH! },
      cwd: '/',
      maxMessageBytes: 100,
      redact: [],
      containment,
    },
    {
      line: () => {
        throw new Error('no room');
      },
      dropped: () => undefined,
      exit: ({ message }) => exit.resolve(message),
    },
  );

  await server.start();

  expect(await exit.promise).toContain('its output could not be handled: no room');
});
