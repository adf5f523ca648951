// Changes of the configuration's files are seen, once each, whatever way they are made.
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { EventEmitter } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigWatch } from '../../src/config/watch.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { workspace } from './workspace.ts';

/** Watches and lets a test wait for the next call of `onChange`. */
async function watching(file: string, reloadQuiet = 20) {
  const bounds = boundsWith({ reloadQuiet, reloadDelay: 5 * reloadQuiet });
  const changes = new EventEmitter();
  let count = 0;
  const onChange = () => {
    count += 1;
    changes.emit('change');
  };
  const watch = new ConfigWatch({ file, onChange, bounds });
  onTestFinished(() => watch.close());
  await watch.ready;
  const after = async (act: () => void) => {
    const changed = once(changes, 'change', { signal: AbortSignal.timeout(5000) });
    act();
    await changed;
  };
  return { after, close: () => watch.close(), count: () => count };
}

test('writing in place, replacing by rename, deleting and re-creating are all seen', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}' });
  const { after } = await watching(path('mcp-gateway.json'));

  await after(() => write('mcp-gateway.json', '{ }'));
  await after(() => {
    write('mcp-gateway.json.tmp', '{  }');
    renameSync(path('mcp-gateway.json.tmp'), path('mcp-gateway.json'));
  });
  await after(() => write('mcp-gateway.json', '{   }'));
  await after(() => unlinkSync(path('mcp-gateway.json')));
  await after(() => write('mcp-gateway.json', '{}'));
  await after(() => write('mcp-gateway.json', '{ }'));
});

test('the first sign of a change is told at once, long before the burst is over', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}' });
  const sign = Promise.withResolvers<void>();
  let changes = 0;
  const watch = new ConfigWatch({
    file: path('mcp-gateway.json'),
    onChange: () => changes++,
    onEvent: () => sign.resolve(),
    bounds: boundsWith({ reloadQuiet: 60_000, reloadDelay: 300_000 }),
  });
  onTestFinished(() => watch.close());
  await watch.ready;

  write('mcp-gateway.json', '{ }');
  await sign.promise;

  expect(changes).toBe(0);
});

test('servers.d may appear later, go, and come back', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}' });
  const { after } = await watching(path('mcp-gateway.json'));

  await after(() => mkdirSync(path('servers.d')));
  await after(() => write('servers.d/a.json', '{}'));
  await after(() => unlinkSync(path('servers.d/a.json')));
  await after(() => rmSync(path('servers.d'), { recursive: true }));
  await after(() => write('servers.d/b.json', '{}'));
  await after(() => write('servers.d/b.json', '{ }'));
});

test('a folder that is replaced as a whole stays watched', async () => {
  const { path, write } = workspace({ 'conf/mcp-gateway.json': '{}', 'next/mcp-gateway.json': '{ }' });
  const { after } = await watching(path('conf/mcp-gateway.json'));

  await after(() => {
    renameSync(path('conf'), path('old'));
    renameSync(path('next'), path('conf'));
  });
  await after(() => write('conf/mcp-gateway.json', '{  }'));
});

test('a folder that is deleted and comes back stays watched', async () => {
  const { path, write } = workspace({ 'conf/mcp-gateway.json': '{}' });
  const { after } = await watching(path('conf/mcp-gateway.json'));

  await after(() => rmSync(path('conf'), { recursive: true }));
  await after(() => write('conf/mcp-gateway.json', '{}'));
  await after(() => write('conf/mcp-gateway.json', '{ }'));
});

test('a main file behind a symbolic link is followed, and so is a link that is pointed elsewhere', async () => {
  const { path, write } = workspace({ 'v1/mcp-gateway.json': '{}', 'v2/mcp-gateway.json': '{}' });
  symlinkSync('v1', path('current'));
  symlinkSync('current/mcp-gateway.json', path('mcp-gateway.json'));
  const { after } = await watching(path('mcp-gateway.json'));

  await after(() => write('v1/mcp-gateway.json', '{ }'));
  await after(() => {
    symlinkSync('v2', path('new'));
    renameSync(path('new'), path('current'));
  });
  await after(() => write('v2/mcp-gateway.json', '{ }'));
});

test('a link on the way to the main file that is pointed elsewhere is seen', async () => {
  const { path } = workspace({ 'v1.json': '{}', 'v2.json': '{ }' });
  symlinkSync('v1.json', path('current.json'));
  symlinkSync('current.json', path('mcp-gateway.json'));
  const { after } = await watching(path('mcp-gateway.json'));

  await after(() => {
    symlinkSync('v2.json', path('next.json'));
    renameSync(path('next.json'), path('current.json'));
  });
});

test('files of servers.d that are links are followed: one link that all go through, and the file at the end', async () => {
  const { path, write } = workspace({
    'mcp-gateway.json': '{}',
    'servers.d/..v1/a.json': '{}',
    'servers.d/..v2/a.json': '{}',
    'mine/b.json': '{}',
  });
  symlinkSync('..v1', path('servers.d/..data'));
  symlinkSync('..data/a.json', path('servers.d/a.json'));
  symlinkSync('../mine/b.json', path('servers.d/b.json'));
  const { after } = await watching(path('mcp-gateway.json'));

  await after(() => {
    symlinkSync('..v2', path('servers.d/..next'));
    renameSync(path('servers.d/..next'), path('servers.d/..data'));
  });
  await after(() => write('servers.d/..v2/a.json', '{ }'));
  await after(() => write('mine/b.json', '{ }'));
  await after(() => {
    write('mine/b.json.tmp', '{  }');
    renameSync(path('mine/b.json.tmp'), path('mine/b.json'));
  });
});

test('a burst of changes is one change', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}', 'servers.d/a.json': '{}' });
  const { count } = await watching(path('mcp-gateway.json'), 50);
  const fence = await watching(path('mcp-gateway.json'), 200);

  await fence.after(() => {
    for (let index = 0; index < 20; index += 1) {
      write('mcp-gateway.json', '{}'.padEnd(index + 2));
      write('servers.d/a.json', '{}'.padEnd(index + 2));
    }
  });

  expect(count()).toBe(1);
});

test('other files are no change', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}', 'servers.d/a.json': '{}', 'mcp-gateway.db': '' });
  const { after, count } = await watching(path('mcp-gateway.json'), 100);

  // Events come in order: the foreign ones are handled when the own one has been.
  for (const name of [
    'mcp-gateway.db',
    'mcp-gateway.json~',
    'servers.d/.a.json.swp',
    'servers.d/README.md',
    'servers.d/.b.json',
  ])
    write(name, 'x');
  const other = workspace({ 'mcp-gateway.json': '{}' });
  const fence = await watching(other.path('mcp-gateway.json'), 150);
  await fence.after(() => other.write('mcp-gateway.json', '{ }'));
  expect(count()).toBe(0);

  await after(() => write('servers.d/a.json', '{ }'));
  expect(count()).toBe(1);
});

test('writing without a pause does not put the change off for ever', async () => {
  const { path } = workspace({ 'mcp-gateway.json': '{}' });
  let writing = true;
  const { after } = await watching(path('mcp-gateway.json'), 200);

  const loop = async () => {
    for (let index = 0; writing; index = (index + 1) % 100) {
      writeFileSync(path('mcp-gateway.json'), '{}'.padEnd(index + 2));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  let running: Promise<void> | undefined;
  await after(() => {
    running = loop();
  });
  writing = false;
  await running;
});

test('nothing is reported after closing', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}' });
  const { close, count } = await watching(path('mcp-gateway.json'), 0);
  const fence = await watching(path('mcp-gateway.json'), 50);

  await fence.after(() => {
    write('mcp-gateway.json', '{ }');
    close();
  });

  expect(count()).toBe(0);
});

test('a change that was seen but not yet reported is dropped by closing', async () => {
  const { path, write } = workspace({ 'mcp-gateway.json': '{}' });
  const early = await watching(path('mcp-gateway.json'), 0);
  const { close, count } = await watching(path('mcp-gateway.json'), 200);
  const late = await watching(path('mcp-gateway.json'), 400);

  await late.after(() => {
    void early.after(() => write('mcp-gateway.json', '{ }')).then(close);
  });

  expect(early.count()).toBeGreaterThan(0);
  expect(count()).toBe(0);
});
