// `serve` on a terminal: what a new user sees from the first line to Ctrl-C.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { connectClient } from './harness/clients.ts';
import { place } from './harness/command-line.ts';
import { BIN, fixture } from './harness/gateway.ts';

/** A terminal of 80 columns, and everything that came on it. */
class Shown {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  private text = '';

  constructor(args: readonly string[]) {
    const command = [process.execPath, BIN, ...args].map((word) => `'${word}'`).join(' ');
    this.process = spawn('script', ['-qfec', `stty cols 80 -echo; exec ${command}`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.ended = once(this.process, 'exit');
    this.process.stdout!.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    onTestFinished(() => void this.process.kill('SIGKILL'));
  }

  /** Everything, what was drawn over too. */
  get drawn(): string {
    return this.text;
  }

  /** Its rows, without what was drawn over. */
  get rows(): string[] {
    return this.text
      .replaceAll('\r\n', '\n')
      .split('\n')
      .map((row) => row.split('\u001b[K').at(-1)!);
  }

  /** The first row that matches, once there is one. */
  async row(pattern: RegExp): Promise<string> {
    await expect.poll(() => this.rows.join('\n'), { timeout: 20_000 }).toMatch(pattern);
    return this.rows.find((row) => pattern.test(row))!;
  }
}

test('a terminal shows the start, each call, each edit and the end, in lines for people', async () => {
  const config = {
    mcpServers: { echo: fixture('echo-stdio.ts'), dead: { command: '/no/such/program' } },
  };
  const { where, config: file, write } = place(config);
  const shown = new Shown(['serve', '--port', '0', ...where]);
  await shown.row(/dead {2}failed: .*\/no\/such\/program/);
  const url = (await shown.row(/^mcp-gateway \S+ at http/)).split(' at ')[1]!;

  const start = shown.rows.filter((row) => row !== '');
  expect(start.length).toBeLessThanOrEqual(10);
  expect(start.join('\n')).toContain(`claude mcp add --transport http gw ${url}`);
  expect(start.join('\n')).toMatch(/^1 of 2 servers ready, 9 tools, [\d.]+ m?s$/m);

  const client = await connectClient('SDK v2 legacy', { url });
  await client.callTool({ name: 'echo__echo', arguments: { text: 'x' } });
  await shown.row(/^SDK-v2-legacy {2}echo__echo {2}ok {2}\d+ ms$/m);
  await expect(client.callTool({ name: 'echo__nothing', arguments: {} })).rejects.toThrow();
  await shown.row(/^SDK-v2-legacy {2}echo__nothing {2}refused {2}\d+ ms {2}Unknown tool: echo__nothing$/m);
  await client.close();

  const good = readFileSync(file, 'utf8');
  write('mcp-gateway.json', '{ broken');
  await shown.row(/the edit is not in force/);
  write('mcp-gateway.json', good);
  await shown.row(/the configuration is in force again/);
  write('mcp-gateway.json', { mcpServers: { ...config.mcpServers, dead: fixture('echo-stdio.ts') } });
  await shown.row(/the configuration was reloaded: dead/);
  await shown.row(/^ {2}dead {2}ready again, 9 tools$/m);

  shown.process.stdin!.write('\u0003');
  await shown.row(/^stopping: /m);
  await shown.ended;
  expect(shown.rows.join('\n')).not.toMatch(/\{"level"/);
});

test('`servers` shows how far their start is, then a table that fits, whose headers are whole', async () => {
  const { where, write } = place();
  write('late', '1500');
  write('mcp-gateway.json', {
    mcpServers: {
      echo: fixture('echo-stdio.ts'),
      'a-server-of-some-name': fixture('late-stdio.ts', `${where[1]!.replace('mcp-gateway.json', '')}late`),
      dead: { command: '/no/such/program' },
    },
  });
  const shown = new Shown(['servers', ...where]);
  await shown.ended;

  expect(shown.drawn).toMatch(/1 of 3 servers ready, 9 tools, .*waiting for a-server-of-some-name/);
  const header = shown.rows.find((row) => row.startsWith('NAME'))!;
  expect(header.split(/ {2,}/)).toEqual(['NAME', 'STATE', 'ERA', 'OVER', 'TOOLS', 'RESTARTS']);
  for (const row of shown.rows) if (/^(NAME|echo|a-server|dead) /.test(row)) expect(row.length).toBeLessThanOrEqual(80);
});
