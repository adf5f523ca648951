// Who else can change a configuration: owners and modes of its files, and of the folders and links that lead to them.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lchownSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ConfigFolders } from '../../src/config/folders.ts';
import { loadConfig, loadFrom } from '../../src/config/load.ts';
import { problemsOf, told, valid, workspace } from './workspace.ts';

/** Somebody else, and somebody else again. */
const [OTHER, THIRD] = [40_001, 40_002];
const main = { 'mcp-gateway.json': { mcpServers: { main: { command: 'm' } } } };

const places = (result: ReturnType<ReturnType<typeof workspace>['load']>) =>
  problemsOf(result).map(({ severity, file, message }) => [severity, file, message]);
const namesOf = (result: ReturnType<ReturnType<typeof workspace>['load']>) =>
  valid(result).servers.map(({ name, problem }) => [name, problem === undefined]);

/** Only root can give files away. */
const asRoot = test.runIf(process.geteuid?.() === 0);

beforeEach(() => {
  vi.restoreAllMocks();
});

test('a main file that everybody may change is refused, with the command that mends it', () => {
  const { load, path } = workspace(main);
  chmodSync(path('mcp-gateway.json'), 0o666);

  const result = load();

  expect(result.ok).toBe(false);
  expect(places(result)).toEqual([
    [
      'error',
      path('mcp-gateway.json'),
      `everybody on this machine may change this file, and so decide what is started; take the right away (chmod o-w ${path('mcp-gateway.json')})`,
    ],
  ]);
});

test.each(['conf', 'conf/servers.d'])('a folder %s that everybody may change is refused', (folder) => {
  const { path, write } = workspace({ 'conf/servers.d/a.json': { command: 'a' } });
  write('conf/mcp-gateway.json', {});
  chmodSync(path(folder), 0o777);

  const result = loadConfig(path('conf/mcp-gateway.json'), {});

  expect(places(result)).toEqual([
    ['error', path(folder), expect.stringContaining(`everybody on this machine may change this folder`)],
  ]);
  expect(result.ok).toBe(false);
});

test('a folder further up that everybody may change is refused, unless only owners can rename what is in it', () => {
  const { path } = workspace({ 'up/conf/mcp-gateway.json': {} });
  chmodSync(path('up'), 0o777);
  const open = loadConfig(path('up/conf/mcp-gateway.json'), {});
  chmodSync(path('up'), 0o1777);
  const sticky = loadConfig(path('up/conf/mcp-gateway.json'), {});

  expect([open.ok, sticky.ok]).toEqual([false, true]);
  expect(told(sticky)).toEqual([]);
});

asRoot(
  'a folder of mode 0777 that is mounted read-only, as those of Kubernetes are, is nobody’s to change',
  ({ skip }) => {
    const { load, path } = workspace({ ...main, 'volume/..v1/a.json': { command: 'a' }, 'servers.d/x': '' });
    chmodSync(path('volume'), 0o777);
    symlinkSync('..v1', path('volume/..data'));
    symlinkSync('..data/a.json', path('volume/a.json'));
    const mount = (...args: string[]) => execFileSync('mount', [...args, path('servers.d')], { stdio: 'ignore' });
    try {
      mount('--bind', path('volume'));
    } catch {
      skip('this machine lets nobody mount');
    }
    try {
      const writable = load();
      mount('-o', 'remount,ro,bind');
      const readOnly = load();

      expect(writable.ok).toBe(false);
      expect(told(readOnly)).toEqual([]);
      expect(namesOf(readOnly)).toEqual([
        ['main', true],
        ['a', true],
      ]);
    } finally {
      execFileSync('umount', [path('servers.d')]);
    }
  },
);

test('a file of servers.d that everybody may change takes out itself alone', () => {
  const { load, path } = workspace({
    ...main,
    'servers.d/open.json': { command: 'o' },
    'servers.d/good.json': { command: 'g' },
  });
  chmodSync(path('servers.d/open.json'), 0o666);

  const result = load();

  expect(namesOf(result)).toEqual([
    ['main', true],
    ['good', true],
    ['open', false],
  ]);
  expect(told(result)).toEqual([expect.stringContaining('everybody on this machine may change this file')]);
});

asRoot('a group with other members is told once, one of the owner alone is not', () => {
  const { load, path } = workspace({
    ...main,
    'servers.d/a.json': { command: 'a' },
    'servers.d/b.json': { command: 'b' },
  });
  for (const name of ['servers.d', 'servers.d/a.json', 'servers.d/b.json']) chmodSync(path(name), 0o775);
  const own = told(load());
  for (const name of ['servers.d', 'servers.d/a.json', 'servers.d/b.json']) chownSync(path(name), 0, OTHER);

  const result = load();

  expect(own).toEqual([]);
  expect(namesOf(result)).toEqual([
    ['main', true],
    ['a', true],
    ['b', true],
  ]);
  expect(places(result)).toEqual([
    ['warning', path('servers.d'), expect.stringMatching(/^group 40001 may change this folder, .*chmod g-w/)],
  ]);
});

describe('of other owners', () => {
  asRoot('root is told who decides what it starts, once for each, and goes on', () => {
    const { load, path } = workspace({
      ...main,
      'servers.d/a.json': { command: 'a' },
      'servers.d/b.json': { command: 'b' },
      'servers.d/c.json': { command: 'c' },
    });
    for (const name of ['mcp-gateway.json', 'servers.d/a.json', 'servers.d/b.json'])
      chownSync(path(name), OTHER, OTHER);
    chownSync(path('servers.d/c.json'), THIRD, THIRD);

    const result = load();

    expect(valid(result).servers.filter(({ problem }) => problem !== undefined)).toEqual([]);
    expect(places(result)).toEqual([
      [
        'warning',
        path('mcp-gateway.json'),
        `user 40001 owns this file, and so decides what is started as root; run the gateway as that user, or give it to root (chown -h root ${path('mcp-gateway.json')})`,
      ],
      ['warning', path('servers.d/c.json'), expect.stringContaining('user 40002 owns this file')],
    ]);
  });

  asRoot('another user is refused, and told what to do', () => {
    const { load, path } = workspace({ ...main, 'servers.d/a.json': { command: 'a' } });
    chownSync(path('servers.d/a.json'), THIRD, THIRD);
    vi.spyOn(process, 'geteuid').mockReturnValue(OTHER);
    const file = load();
    chownSync(path('mcp-gateway.json'), THIRD, THIRD);
    const whole = load();

    expect(namesOf(file)).toEqual([
      ['main', true],
      ['a', false],
    ]);
    expect(told(file)).toEqual([
      expect.stringMatching(/user 40002 owns this file.*as user 40001; give it to this user/),
    ]);
    expect(whole.ok).toBe(false);
  });

  asRoot('root and the user itself are nobody else', () => {
    const { load, path } = workspace({ ...main, 'servers.d/a.json': { command: 'a' } });
    chownSync(path('servers.d'), OTHER, OTHER);
    chownSync(path('servers.d/a.json'), OTHER, OTHER);
    vi.spyOn(process, 'geteuid').mockReturnValue(OTHER);

    expect(told(load())).toEqual([]);
  });
});

describe('Symbolic links in servers.d', () => {
  const linked = (target: string, files: Record<string, unknown>) => {
    const space = workspace({ ...main, ...files, 'servers.d/good.json': { command: 'g' } });
    symlinkSync(target, space.path('servers.d/link.json'));
    const stateOf = () => valid(space.load()).servers.find(({ name }) => name === 'link');
    return { ...space, stateOf, problem: () => stateOf()?.problem };
  };
  const outside = () => linked('../elsewhere/x.json', { 'elsewhere/x.json': { command: 'x' } });

  test('are followed, as mounted folders are made of them', () => {
    const { stateOf, path } = linked('..data/x.json', { 'servers.d/..v1/x.json': { command: 'mounted' } });
    symlinkSync('..v1', path('servers.d/..data'));

    expect(stateOf()).toMatchObject({ command: 'mounted', source: { file: path('servers.d/link.json') } });
    expect(outside().stateOf()?.command).toBe('x');
  });

  asRoot('whose file, folder or link belongs to somebody else are refused alone, with the place', () => {
    const file = outside();
    chownSync(file.path('elsewhere/x.json'), OTHER, 0);
    const folder = outside();
    chownSync(folder.path('elsewhere'), OTHER, 0);
    const link = outside();
    lchownSync(link.path('servers.d/link.json'), OTHER, 0);

    expect(file.problem()).toContain(`leads over ${file.path('elsewhere/x.json')}: user 40001 owns this file`);
    expect(folder.problem()).toContain(`${folder.path('elsewhere')}: user 40001 owns this folder`);
    expect(link.problem()).toContain('user 40001 owns this link');
    expect(namesOf(link.load())).toEqual([
      ['main', true],
      ['good', true],
      ['link', false],
    ]);
  });

  test('whose file or folder everybody may change are refused', () => {
    const file = outside();
    chmodSync(file.path('elsewhere/x.json'), 0o666);
    const folder = outside();
    chmodSync(folder.path('elsewhere'), 0o777);

    expect(file.problem()).toContain('everybody on this machine may change this file');
    expect(folder.problem()).toContain('everybody on this machine may change this folder');
  });

  test('that lead through another link are judged at each hop', () => {
    const { problem, path } = linked('../hop.json', { 'x.json': { command: 'x' }, 'open/y': '' });
    symlinkSync('open/next.json', path('hop.json'));
    symlinkSync('../x.json', path('open/next.json'));
    const before = problem();
    chmodSync(path('open'), 0o777);

    expect(before).toBeUndefined();
    expect(problem()).toContain(path('open'));
  });

  test.each([
    ['to nothing', 'nowhere.json', 'is a symbolic link to a file that does not exist'],
    ['in a circle', 'link.json', 'leads in a circle'],
    ['to a folder', '../elsewhere', 'is not a regular file'],
    ['to a device that never ends', '/dev/zero', 'is not a regular file'],
  ])('that lead %s are refused', (_what, target, problem) => {
    const { path, ...space } = linked(target, {});
    mkdirSync(path('elsewhere'));

    expect(space.problem()).toContain(problem);
  });
});

describe('Folders that are held open', () => {
  const held = (files: Record<string, unknown>) => {
    const space = workspace(files);
    const folders = new ConfigFolders(space.path('conf/mcp-gateway.json'));
    onTestFinished(() => folders.close());
    return { ...space, load: () => loadFrom(folders, { env: {}, state: space.path('state') }) };
  };

  test('a folder that a link leads into and that is replaced takes out the server behind the link', () => {
    const { load, path, write } = held({ 'conf/mcp-gateway.json': {}, 'mine/x.json': { command: 'x' } });
    mkdirSync(path('conf/servers.d'));
    symlinkSync('../../mine/x.json', path('conf/servers.d/x.json'));
    const before = valid(load()).servers[0];
    renameSync(path('mine'), path('moved'));
    write('mine/x.json', { command: 'planted' });
    const after = valid(load()).servers[0];

    expect(before?.command).toBe('x');
    expect(after?.problem).toContain(`is a symbolic link into ${path('mine')}, which is another folder`);
    expect(after?.command).toBeUndefined();
  });

  test('a main file behind a link is refused when the folder that it leads into is replaced', () => {
    const { load, path, write } = held({ 'conf/x': '', 'mine/gateway.json': { listen: { port: 1 } } });
    symlinkSync('../mine/gateway.json', path('conf/mcp-gateway.json'));
    const before = valid(load()).listen.port;
    renameSync(path('mine'), path('moved'));
    write('mine/gateway.json', { listen: { port: 2 } });
    const replaced = load();

    expect(before).toBe(1);
    expect(told(replaced)).toEqual([
      expect.stringContaining(`is a symbolic link into ${path('mine')}, which is another folder`),
    ]);
    expect(replaced.ok).toBe(false);
  });

  test('a link that is pointed elsewhere is followed there', () => {
    const { load, path, write } = held({ 'conf/mcp-gateway.json': {}, 'v1/x.json': { command: 'one' } });
    write('v2/x.json', { command: 'two' });
    mkdirSync(path('conf/servers.d'));
    symlinkSync('../../current/x.json', path('conf/servers.d/x.json'));
    symlinkSync('v1', path('current'));
    const before = valid(load()).servers[0]?.command;
    symlinkSync('v2', path('next'));
    renameSync(path('next'), path('current'));

    expect([before, valid(load()).servers[0]?.command]).toEqual(['one', 'two']);
  });

  test('a link to the main folder that is pointed elsewhere is refused', () => {
    const { path, write } = workspace({ 'v1/mcp-gateway.json': { listen: { port: 1 } } });
    write('v2/mcp-gateway.json', { listen: { port: 2 } });
    symlinkSync('v1', path('current'));
    const folders = new ConfigFolders(path('current/mcp-gateway.json'));
    onTestFinished(() => folders.close());
    const load = () => loadFrom(folders, { env: {}, state: path('state') });
    const before = valid(load());
    symlinkSync('v2', path('next'));
    renameSync(path('next'), path('current'));

    expect([before.listen.port, before.file]).toEqual([1, path('current/mcp-gateway.json')]);
    expect(problemsOf(load())).toMatchObject([
      { file: path('current'), message: expect.stringContaining('is another folder than the one') as string },
    ]);
  });

  test('a main folder that is gone is refused, and read when it is back', () => {
    const { load, path } = held({ 'conf/mcp-gateway.json': {} });
    load();
    renameSync(path('conf'), path('moved'));
    const gone = load();
    renameSync(path('moved'), path('conf'));

    expect(told(gone)).toEqual([expect.stringMatching(/^: is gone, .*restart the gateway/)]);
    expect(load().ok).toBe(true);
  });

  test.runIf(process.platform === 'linux')('what is opened is closed again, however often links change', () => {
    const { load, path, write } = held({ 'conf/mcp-gateway.json': {} });
    mkdirSync(path('conf/servers.d'));
    const open = () => readdirSync('/proc/self/fd').length;
    const counts = Array.from({ length: 20 }, (_, index) => {
      write(`v${index}/x.json`, { command: 'x' });
      rmSync(path('conf/servers.d/x.json'), { force: true });
      symlinkSync(path(`v${index}/x.json`), path('conf/servers.d/x.json'));
      valid(load());
      return open();
    });

    expect(new Set(counts).size).toBe(1);
  });
});
