// Folders of the configuration that become others while the gateway runs: nothing is read from them, and it is said why.
import { cpSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openGateway, type RunningGateway, startGateway, workspace } from './harness/gateway.ts';
import { toolNames } from './harness/scripted.ts';
import { until } from './harness/status.ts';

const main = { mcpServers: { stays: fixture('echo-stdio.ts') } };

/** A gateway whose configuration lies in a folder that can be renamed, with its state beside that folder. */
async function start(files: Record<string, unknown> = {}): Promise<RunningGateway & { path(name: string): string }> {
  const space = workspace(main);
  onTestFinished(() => space.remove());
  for (const [name, content] of Object.entries({ 'conf/mcp-gateway.json': main, ...files })) space.write(name, content);
  const gateway = await openGateway({ space: { ...space, config: join(space.directory, 'conf/mcp-gateway.json') } });
  onTestFinished(async () => {
    await gateway.stop();
  });
  await gateway.attempted();
  return { ...gateway, path: (name) => join(space.directory, name) };
}

async function reloadError({ origin }: RunningGateway): Promise<string | undefined> {
  const health = (await (await fetch(`${origin}/readyz`)).json()) as { reloadError?: string };
  return health.reloadError;
}

const refused = (gateway: RunningGateway) =>
  until(
    () => reloadError(gateway),
    (error) => error !== undefined,
  );
const accepted = (gateway: RunningGateway) =>
  until(
    () => reloadError(gateway),
    (error) => error === undefined,
  );
const serversOf = async ({ url }: RunningGateway) =>
  [...new Set((await toolNames(url)).map((name) => name.split('__')[0]))].sort();
const offers = (gateway: RunningGateway, ...names: string[]) =>
  until(
    () => serversOf(gateway),
    (found) => found.join() === names.join(),
  );

/** What an attacker would have started. */
const planted = { ...fixture('echo-stdio.ts'), alias: 'planted' };

test('a folder that is put in the place of the configuration is not read, and the last good configuration stays', async () => {
  const gateway = await start({ 'conf/servers.d/dropped.json': fixture('echo-stdio.ts') });

  renameSync(gateway.path('conf'), gateway.path('moved'));
  cpSync(gateway.path('moved'), gateway.path('conf'), { recursive: true });
  gateway.write('conf/servers.d/planted.json', planted);
  const error = await until(
    () => reloadError(gateway),
    (text) => text?.includes('another folder') === true,
  );
  const { stderr } = await gateway.cli('servers');
  const during = await serversOf(gateway);

  expect(error).toContain(`${gateway.path('conf')}:1:1 is another folder than the one`);
  expect(error).toContain('restart the gateway');
  expect(stderr).toContain('is not in force');
  expect(during).toEqual(['dropped', 'stays']);

  // the right one is back
  rmSync(gateway.path('conf'), { recursive: true });
  renameSync(gateway.path('moved'), gateway.path('conf'));
  gateway.write('conf/servers.d/late.json', fixture('echo-stdio.ts'));
  await accepted(gateway);
  await offers(gateway, 'dropped', 'late', 'stays');
});

test('a renamed parent of the folder leads to another one too', async () => {
  const gateway = await start({ 'outer/conf/mcp-gateway.json': main });
  await gateway.stop();
  const inner = await startGateway({
    space: { ...gateway, config: gateway.path('outer/conf/mcp-gateway.json'), state: gateway.path('state-2') },
  });
  onTestFinished(async () => {
    await inner.stop();
  });
  await inner.attempted();

  renameSync(gateway.path('outer'), gateway.path('elsewhere'));
  gateway.write('outer/conf/mcp-gateway.json', main);
  gateway.write('outer/conf/servers.d/planted.json', planted);
  inner.process.kill('SIGHUP');

  expect(await refused(inner)).toContain('is another folder than the one');
  expect(await serversOf(inner)).toEqual(['stays']);
});

test('a servers.d that is made anew is not read; the right one is, when it is back', async () => {
  const gateway = await start({ 'conf/servers.d/dropped.json': fixture('echo-stdio.ts') });

  renameSync(gateway.path('conf/servers.d'), gateway.path('conf/kept'));
  await offers(gateway, 'stays');
  gateway.write('conf/servers.d/planted.json', planted);
  const error = await refused(gateway);
  const during = await serversOf(gateway);
  rmSync(gateway.path('conf/servers.d'), { recursive: true });
  renameSync(gateway.path('conf/kept'), gateway.path('conf/servers.d'));
  await accepted(gateway);

  expect(error).toContain(`${gateway.path('conf/servers.d')}:1:1 is another folder than the one`);
  expect(during).toEqual(['stays']);
  await offers(gateway, 'dropped', 'stays');
});

test('a servers.d that was not there at the start is made, and read', async () => {
  const gateway = await start();

  gateway.write('conf/servers.d/late.json', fixture('echo-stdio.ts'));

  await offers(gateway, 'late', 'stays');
  expect(await reloadError(gateway)).toBeUndefined();
});

test('a mounted folder that changes by one link, as those of Kubernetes do, is read anew', async () => {
  const entry = fixture('echo-stdio.ts');
  const gateway = await start({ 'conf/servers.d/..v1/a.json': entry, 'conf/servers.d/..v2/a.json': { both: entry } });
  symlinkSync('..v1', gateway.path('conf/servers.d/..data'));
  symlinkSync('..data/a.json', gateway.path('conf/servers.d/a.json'));
  await offers(gateway, 'a', 'stays');

  symlinkSync('..v2', gateway.path('conf/servers.d/..next'));
  renameSync(gateway.path('conf/servers.d/..next'), gateway.path('conf/servers.d/..data'));
  await offers(gateway, 'both', 'stays');
  rmSync(gateway.path('conf/servers.d/..v1'), { recursive: true });

  // a file that is edited where the link leads to
  writeFileSync(gateway.path('conf/servers.d/..v2/a.json'), JSON.stringify({ edited: entry }));
  await offers(gateway, 'edited', 'stays');
  expect(await reloadError(gateway)).toBeUndefined();
});
