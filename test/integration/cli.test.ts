// What the commands do: with a running gateway and without one, over stdio, and with which exit status they end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import { connectClient } from './harness/clients.ts';
import { place } from './harness/command-line.ts';
import { BIN, fixture, type GatewayProcess, ROOT, startGateway } from './harness/gateway.ts';
import { insideOf, runInside } from './harness/inside.ts';
import { statusUntil } from './harness/status.ts';

tellTestsApart();

const hostile = { command: process.execPath, args: [join(ROOT, 'test/integration/harness/hostile-server.ts')] };
const STEERING = /[\p{Cc}\p{Cf}\u2028\u2029]/u;

describe('with a running gateway', () => {
  let gateway: GatewayProcess;
  let cli: ReturnType<typeof insideOf>;
  beforeAll(async () => {
    gateway = await startGateway({
      config: { mcpServers: { echo: fixture('echo-stdio.ts'), hostile, dead: { command: '/no/such/program' } } },
    });
    await gateway.attempted();
    cli = insideOf(gateway);
  }, 30_000);
  afterAll(() => gateway.stop());

  test('flags may stand before the command', async () => {
    const { stdout } = await runInside([
      '--config',
      gateway.config,
      '--state',
      gateway.state,
      '--json',
      'servers',
      'echo',
    ]);

    expect(JSON.parse(stdout)).toMatchObject({ name: 'echo', state: 'ready' });
  });

  test('every kind of --json parses', async () => {
    await cli('tools', 'call', 'echo__echo', '--args', '{"text": "x"}');
    const servers = JSON.parse((await cli('servers', '--json')).stdout) as { name: string }[];
    const tools = JSON.parse((await cli('tools', 'list', '--json')).stdout) as { name: string }[];
    const call = JSON.parse((await cli('tools', 'call', 'hostile__ok', '--json')).stdout) as object;
    const query = await cli('audit', 'query', '--json', '--limit', '3');
    const verify = JSON.parse((await cli('audit', 'verify', '--json')).stdout) as object;
    const schema = JSON.parse((await cli('config', 'schema', '--json')).stdout) as object;

    expect(servers.map(({ name }) => name)).toEqual(['echo', 'hostile', 'dead']);
    expect(tools.map(({ name }) => name)).toContain('echo__echo');
    expect(call).toMatchObject({ content: [{ type: 'text' }] });
    const rows = query.stdout.trim().split('\n');
    expect(rows).toHaveLength(3);
    for (const row of rows) expect((JSON.parse(row) as { time: string }).time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(verify).toMatchObject({ ok: true });
    expect(schema).toHaveProperty('properties');
  });

  test.each([
    ['servers'],
    ['servers hostile'],
    ['servers --json'],
    ['tools list'],
    ['tools list --json'],
    ['tools call hostile__ok'],
    ['tools call hostile__ok --json'],
    ['tools call hostile__fail'],
    ['tools call hostile__refuse'],
    ['audit query'],
    ['audit query --json'],
    ['audit query --kind event'],
  ])('nothing that a server says steers the terminal in: %s', async (words) => {
    const { stdout, stderr } = await cli(...words.split(' '));

    expect(`${stdout}${stderr}`).toMatch(/\S/);
    expect(`${stdout}${stderr}`.replaceAll('\n', '')).not.toMatch(STEERING);
  });

  test('the statuses of a call: it worked, the tool failed, nobody offers it', async () => {
    const worked = await cli('tools', 'call', 'echo__echo', '--args', '{"text": "hello"}');
    const failed = await cli('tools', 'call', 'hostile__fail');
    const refused = await cli('tools', 'call', 'hostile__refuse');
    const unknown = await cli('tools', 'call', 'echo__ehco');
    const server = await cli('servers', 'ehco');

    expect(worked).toEqual({ status: 0, stdout: 'hello\n', stderr: '' });
    expect(failed).toMatchObject({ status: 5, stderr: '' });
    expect(refused).toMatchObject({ status: 5, stdout: '' });
    expect(unknown).toMatchObject({ status: 9, stdout: '' });
    expect(unknown.stderr).toContain('did you mean "echo__echo"?');
    expect(server).toMatchObject({ status: 9, stdout: '' });
    expect(server.stderr).toContain('did you mean "echo"?');
  });

  test('the commands use the gateway that runs, and leave it running', async () => {
    const before = (await gateway.cli('tools', 'call', 'echo__pid')).stdout;
    const after = (await gateway.cli('tools', 'call', 'echo__pid')).stdout;

    expect(after).toBe(before);
    expect(gateway.process.exitCode).toBeNull();
  });

  test('a reader that stops reading is no failure', async () => {
    const child = start(['config', 'schema', '--config', gateway.config]);
    child.stdout!.destroy();
    const [status] = (await once(child, 'exit')) as [number];

    expect(status).toBe(0);
    expect(await textOf(child.stderr!)).toBe('');
  });
});

describe('without a running gateway', () => {
  test('tools and servers work on their own, and leave the state directory free', async () => {
    const { cli, ...space } = place();
    const inside = insideOf(space);

    const list = await cli('tools', 'list');
    const call = await inside('tools', 'call', 'echo__echo', '--args', '{"text": "alone"}');
    const servers = await inside('servers');

    expect(list.stdout).toMatch(/^TOOL +DESCRIPTION\necho__echo +Gives the text back\./);
    expect(call).toMatchObject({ status: 0, stdout: 'alone\n' });
    expect(servers.stdout).toMatch(/^echo +ready/m);
    expect(existsSync(join(space.state, 'run.json'))).toBe(false);
  });

  test.concurrent(
    'a server that only makes noise is not waited for without end, and what is known is shown',
    async () => {
      const noisy = { command: process.execPath, args: ['-e', "setInterval(() => console.log('noise'), 500)"] };
      const { cli } = place({ mcpServers: { noisy, echo: fixture('echo-stdio.ts') } });

      const { status, stdout, stderr } = await cli('servers');

      expect(status).toBe(0);
      expect(stdout).toMatch(/^noisy +connecting/m);
      expect(stdout).toMatch(/^echo +ready/m);
      expect(stderr).toContain('noisy has not answered yet');
    },
  );

  test.concurrent('a tool of a server that starts slower than others are made to wait can be called', async () => {
    const { cli, write, directory } = place();
    write('late', '11000');
    write('mcp-gateway.json', { mcpServers: { late: fixture('late-stdio.ts', join(directory, 'late')) } });

    expect(await cli('tools', 'call', 'late__echo', '--args', '{"text": "at last"}')).toMatchObject({
      status: 0,
      stdout: 'at last\n',
    });
  });

  test('words for people stay words where nobody looks: no line on stderr is JSON', async () => {
    const { cli, write } = place();
    write('servers.d/bad.json', '{ "command": "x", "nonsense": 1 }');

    const { stderr } = await cli('servers');

    expect(stderr).toMatch(/WARN: .*bad\.json:1:19/);
    expect(stderr).not.toMatch(/^\{/m);
  });

  test('what a server said of the question whether it is modern is not in its tail, and the rest is', async () => {
    const cli = insideOf(place({ mcpServers: { wordy: fixture('wordy-stdio.ts') } }));

    const { stdout } = await cli('servers', 'wordy', '--json');

    expect(JSON.parse(stdout)).toMatchObject({ tail: ['wordy reads its settings', 'wordy is ready'] });
  });

  test('a tool whose description begins with an empty line, or that has none, is listed with words', async () => {
    const tools = [
      { name: 'blank', description: '\n   Adds numbers.\n  More of it.' },
      { name: 'titled', annotations: { title: 'Takes things away' } },
    ].map((tool) => ({ ...tool, inputSchema: { type: 'object' } }));
    const { url, close } = await toolServer(tools);
    const cli = insideOf(place({ mcpServers: { web: { url } } }));

    const { stdout } = await cli('tools', 'list');
    close();

    expect(stdout).toMatch(/^web__blank +Adds numbers\.$/m);
    expect(stdout).toMatch(/^web__titled +Takes things away$/m);
  });

  test('a server that is gone ends with 4, one that refuses the credentials with 3, what they may do with 6', async () => {
    const answers: Record<string, object> = {
      initialize: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'fickle', version: '1' },
      },
      'tools/list': { tools: [{ name: 'use', inputSchema: { type: 'object' } }] },
    };
    let refusal = 401;
    const server = createServer((request, response) => {
      void textOf(request).then((body) => {
        const { id, method = '' } = JSON.parse(body || '{}') as { id?: number; method?: string };
        const result = answers[method];
        if (method === 'tools/call') response.writeHead(refusal).end();
        else if (id === undefined) response.writeHead(202).end();
        else if (result)
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        else response.writeHead(400).end();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const cli = insideOf(
      place({
        mcpServers: { web: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` } },
      }),
    );

    const unauthenticated = await cli('tools', 'call', 'web__use');
    refusal = 403;
    const denied = await cli('tools', 'call', 'web__use');
    server.close();
    server.closeAllConnections();
    const gone = await cli('tools', 'call', 'web__use');

    expect([unauthenticated.status, denied.status, gone.status]).toEqual([3, 6, 4]);
    expect(unauthenticated.stderr).toContain("refused the gateway's credentials (HTTP 401)");
  });

  test('the log: none is 9, a changed one is 10', async () => {
    const space = place();
    const { state } = space;
    const cli = insideOf(space);
    const none = await cli('audit', 'verify');
    await cli('tools', 'list');
    const whole = await cli('audit', 'verify');
    const [segment = ''] = readdirSync(join(state, 'audit'));
    const path = join(state, 'audit', segment);
    writeFileSync(path, '{"seq":', { flag: 'a' });
    const torn = await cli('audit', 'verify');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"kind":"intent"', '"kind":"Intent"'));
    const changed = await cli('audit', 'verify');

    expect(none).toMatchObject({ status: 9, stdout: '' });
    expect(none.stderr).toContain('there is no log at');
    expect(whole).toMatchObject({ status: 0, stderr: '' });
    expect(torn).toMatchObject({ status: 0, stdout: whole.stdout });
    expect(torn.stderr).toContain('the last 7 bytes are a record that is being written');
    expect(changed).toMatchObject({ status: 10, stdout: '' });
    expect(changed.stderr).toMatch(/not ok: record \d+/);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends a command with %i and frees the state directory', async (signal, status) => {
    const { where, state } = place();
    const child = start(['tools', 'call', 'echo__slow', '--args', '{"ms": 60000}', ...where]);
    await untilFileHas(join(state, 'run.json'));
    await statusUntil({ state }, 'echo', ({ inFlight }) => inFlight > 0);

    child.kill(signal);

    expect(await once(child, 'exit')).toEqual([status, null]);
    expect(existsSync(join(state, 'run.json'))).toBe(false);
  });
});

describe('stdio', () => {
  test('two that start together on one state directory both work: one owns it, the other joins', async () => {
    const space = place();

    const clients = await Promise.all([
      connectClient('SDK v2 legacy', space),
      connectClient('SDK v2 modern', space),
      connectClient('SDK v1', space),
    ]);
    const answers = await Promise.all(clients.map((client) => client.callTool({ name: 'echo__pid', arguments: {} })));

    expect(new Set(answers.map((answer) => JSON.stringify(answer.content))).size).toBe(1);
    await Promise.all(clients.map((client) => client.close()));
  });

  test('nothing but frames is on stdout, whatever goes wrong', async () => {
    const { where, write, state } = place({
      mcpServers: { hostile, dead: { command: '/no/such/program' }, echo: fixture('echo-stdio.ts') },
    });
    const child = start(['stdio', ...where, '--log-level', 'trace']);
    const out = textOf(child.stdout!);
    const lines = [
      'this is no JSON',
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo__garbage","arguments":{}}}',
      '[]',
    ];
    child.stdin!.write(`${lines.join('\n')}\n`);
    await untilFileHas(join(state, 'run.json'));
    write('mcp-gateway.json', '{ broken');
    let seen = '';
    for await (const chunk of child.stderr!) if ((seen += String(chunk)).includes('last good configuration')) break;
    child.stdin!.end();
    await once(child, 'exit');

    const frames = (await out).split('\n').filter((line) => line !== '');
    expect(frames.length).toBeGreaterThanOrEqual(3);
    for (const frame of frames) expect(JSON.parse(frame)).toMatchObject({ jsonrpc: '2.0' });
  });

  test('the end of its input ends it with 0', async () => {
    const { where, state } = place();
    const child = start(['stdio', ...where]);
    await untilFileHas(join(state, 'run.json'));
    child.stdin!.end();

    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('a signal ends it with its own status', async () => {
    const { where, state } = place();
    const child = start(['stdio', ...where]);
    await untilFileHas(join(state, 'run.json'));
    child.kill('SIGTERM');

    expect(await once(child, 'exit')).toEqual([143, null]);
  });
});

describe('an old Node', () => {
  test('is refused in one line before anything else is loaded', async () => {
    const fake = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"22.18.0"});';
    const spy = `${fake}import {registerHooks} from "node:module";registerHooks({load(url,c,n){process.stderr.write("");if(!url.endsWith("bin.js")&&url.startsWith("file:"))process.exit(99);return n(url,c)}});`;
    const child = spawn(process.execPath, ['--import', spy, BIN, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err, ended] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'exit')]);

    expect(ended).toEqual([2, null]);
    expect(out).toBe('');
    expect(err).toBe(
      'mcp-gateway needs Node 22.19 or newer; this is Node 22.18.0. Here `npx mcp-gateway` runs it on the Node that the clone brings.\n',
    );
  });
});

function start(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** A legacy server that lists these tools. */
async function toolServer(tools: readonly object[]): Promise<{ url: string; close: () => void }> {
  const serverInfo = { name: 'web', version: '1' };
  const answers: Record<string, object> = {
    initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo },
    'tools/list': { tools },
  };
  const server = createServer((request, response) => {
    void textOf(request).then((body) => {
      const { id, method = '' } = JSON.parse(body || '{}') as { id?: number; method?: string };
      const result = answers[method];
      if (id === undefined) response.writeHead(202).end();
      else if (!result) response.writeHead(400).end();
      else
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function untilFileHas(file: string): Promise<void> {
  await expect.poll(() => existsSync(file), { timeout: 20_000, interval: 20 }).toBe(true);
}
