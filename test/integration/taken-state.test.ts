// What happens to the files of the state directory while the gateway runs: they are removed, replaced, damaged.
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openGateway, runCli, startGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { callText, toolNames } from './harness/scripted.ts';

const config = { mcpServers: { s: fixture('echo-stdio.ts') } };

test('a gateway whose lock was deleted ends with the reason, and never writes beside the next one', async () => {
  const space = workspace(config);
  onTestFinished(() => space.remove());
  const first = await startGateway({ space });
  await first.attempted();
  const exited = once(first.process, 'exit');
  const answers: string[] = [];
  const calling = (async () => {
    for (;;) answers.push(await callText(first.url, 's__echo', { text: 'on' }));
  })().catch(() => undefined);

  rmSync(join(space.state, 'lock.db'));
  const second = await kept(openGateway({ space }));
  const [code] = (await exited) as [number];
  await calling;
  await second.attempted();

  expect(code).toBe(8);
  expect(first.log()).toMatch(/mcp-gateway: .*lock\.db was (deleted|replaced) while the gateway was running/);
  expect(first.log()).not.toMatch(/^\s+at /m);
  expect(await callText(second.url, 's__echo', { text: 'here' })).toBe('here');
  expect((await second.cli('tools', 'call', 's__echo', '--args', '{"text":"cli"}')).stdout).toContain('cli');
  expect(JSON.parse((await second.cli('audit', 'verify', '--json')).stdout)).toMatchObject({ ok: true });
});

test('a log that was removed is begun again before the next answer, with the whole record of the call', async () => {
  const gateway = await openTried({ config });
  await callText(gateway.url, 's__echo', { text: 'before' });
  rmSync(join(gateway.state, 'audit'), { recursive: true });

  expect(await callText(gateway.url, 's__echo', { text: 'after' })).toBe('after');

  const calls = await gateway.cli('audit', 'query', '--json');
  expect(JSON.parse(calls.stdout)).toMatchObject({ exposed: 's__echo', status: 'ok' });
  const events = await gateway.cli('audit', 'query', '--kind', 'event', '--json');
  expect(events.stdout).toContain('"event":"segment_lost"');
});

test('a start on damaged files says so in a line each, renames no tool, and goes on', async () => {
  const space = workspace(config);
  onTestFinished(() => space.remove());
  const first = await openGateway({ space });
  await first.attempted();
  const names = await toolNames(first.url);
  await first.stop();
  for (const file of ['state.db', 'lock.db']) writeFileSync(join(space.state, file), 'damaged '.repeat(1_000));

  const second = await kept(openGateway({ space }));
  await second.attempted();

  expect(await toolNames(second.url)).toEqual(names);
  expect(second.log()).toMatch(/state\.db was damaged \(file is not a database\) and is kept as .*state\.db\.damaged-/);
  expect(second.log()).toMatch(/lock\.db was damaged/);
  const events = await second.cli('audit', 'query', '--kind', 'event', '--json');
  expect(events.stdout).toContain('state_set_aside');
  expect(events.stdout).toContain('lock_repaired');
});

test('a command that runs a gateway for itself leaves no socket behind', async () => {
  const space = workspace(config);
  onTestFinished(() => space.remove());

  const { status } = await runCli(['servers', '--config', space.config, '--state', space.state]);

  expect(status).toBe(0);
  expect(existsSync(join(space.state, 'control.sock'))).toBe(false);
  expect(readdirSync(space.state).filter((name) => name.startsWith('.'))).toEqual([]);
});
