import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { openStateDirectory, readRunInfo } from '../../src/storage/state-directory.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from './temporary.ts';

const info = { pid: process.pid, url: 'http://127.0.0.1:7420', version: '0.1.0', config: '/c.json' };
const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

test('the directory is made private, with the folders above it', () => {
  const path = join(temporaryFolder(), 'a', 'b', 'state');

  const directory = openStateDirectory(path);

  expect(directory.path).toBe(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(join(path, 'lock.db')).mode & 0o777).toBe(0o600);
  directory.release();
});

test('a directory that others can read is made private', () => {
  const path = temporaryFolder();
  chmodSync(path, 0o755);

  openStateDirectory(path).release();

  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test('a second owner is refused, and told who the first is', () => {
  const path = temporaryFolder();
  const directory = openStateDirectory(path);

  expect(() => openStateDirectory(path)).toThrow(/is in use by another process, which has not said yet who it is/);
  directory.writeRunInfo(info);

  const again = () => openStateDirectory(path);
  expect(again).toThrow(StateError);
  expect(again).toThrow(`is in use by process ${process.pid} (version 0.1.0) serving http://127.0.0.1:7420`);
  expect(again).toThrow(expect.objectContaining({ reason: 'in_use' }));
  expect(readRunInfo(path)).toEqual(info);
  directory.release();
});

test('a released directory names nobody and can be taken', () => {
  const path = temporaryFolder();
  const directory = openStateDirectory(path);
  directory.writeRunInfo(info);

  directory.release();
  directory.release();

  expect(readRunInfo(path)).toBeUndefined();
  openStateDirectory(path).release();
});

test('a second release does not take the directory from the next owner', () => {
  const path = temporaryFolder();
  const first = openStateDirectory(path);
  first.release();
  const second = openStateDirectory(path);
  second.writeRunInfo(info);

  first.release();

  expect(readRunInfo(path)).toEqual(info);
  second.release();
});

test('what an owner says appears whole: nothing else is left beside it', () => {
  const path = temporaryFolder();
  const directory = openStateDirectory(path);

  directory.writeRunInfo(info);
  directory.writeRunInfo({ ...info, url: 'http://127.0.0.1:1' });

  expect(readdirSync(path).sort()).toEqual(['lock.db', 'run.json']);
  expect(statSync(join(path, 'run.json')).mode & 0o777).toBe(0o600);
  expect(readRunInfo(path)?.url).toBe('http://127.0.0.1:1');
  directory.release();
});

test.each([['nothing'], ['{"pid":'], ['[]'], ['{"pid":"1","url":"u","version":"v","config":"c"}']])(
  'a run.json of %s names nobody',
  (text) => {
    const path = temporaryFolder();
    writeFileSync(join(path, 'run.json'), text);

    expect(readRunInfo(path)).toBeUndefined();
  },
);

test('the lock of a process ends with it, even by SIGKILL, and its run.json does not outlive the next owner', async () => {
  const path = temporaryFolder();
  const owner = startOwner(path);
  expect(await firstLine(owner)).toBe('held');
  expect(() => openStateDirectory(path)).toThrow(
    `in use by process ${owner.pid} (version 1.2.3) serving http://127.0.0.1:9`,
  );

  owner.kill('SIGKILL');
  await once(owner, 'exit');

  expect(existsSync(join(path, 'run.json'))).toBe(true);
  const directory = openStateDirectory(path);
  expect(readRunInfo(path)).toBeUndefined();
  directory.release();
});

test('of several processes that start together exactly one owns the directory', async () => {
  const path = temporaryFolder();

  const lines = await Promise.all([1, 2, 3, 4].map(() => firstLine(startOwner(path))));

  expect(lines.filter((line) => line === 'held')).toHaveLength(1);
  expect(lines.filter((line) => line.includes('is in use by'))).toHaveLength(3);
});

test('a damaged lock is told of, emptied and taken; while its owner lives it is in use, damaged or not', () => {
  const path = temporaryFolder();
  writeFileSync(join(path, 'lock.db'), 'no database at all '.repeat(500));

  const directory = openStateDirectory(path);

  expect(directory.repaired).toMatch(/lock\.db was damaged \(file is not a database\)/);
  expect(() => openStateDirectory(path)).toThrow(/is in use by/);
  directory.release();
  const again = openStateDirectory(path);
  expect(again.repaired).toBeUndefined();
  again.release();
});

test.each(['deleted', 'replaced'])(
  'an owner whose lock was %s says that it is lost, and leaves what the next one says',
  async (how) => {
    const path = temporaryFolder();
    const directory = openStateDirectory(path);
    expect(directory.isHeld()).toBe(true);

    rmSync(join(path, 'lock.db'));
    if (how === 'replaced') writeFileSync(join(path, 'lock.db'), '');

    const error = await directory.lost;
    expect(error.message).toMatch(new RegExp(`lock\\.db was ${how} while the gateway was running`));
    expect(error.exitCode).toBe(8);
    expect(directory.isHeld()).toBe(false);
    const next = openStateDirectory(path);
    next.writeRunInfo(info);
    directory.release();
    expect(readRunInfo(path)).toEqual(info);
    next.release();
  },
);

test('a file in its place is refused', () => {
  const path = join(temporaryFolder(), 'file');
  writeFileSync(path, '');

  expect(() => openStateDirectory(path)).toThrow(/Cannot use the state directory .*file/);
});

test.runIf(isRoot)('a directory that cannot be written is refused with what to do', async () => {
  const path = temporaryFolder();
  chownSync(path, NOBODY, NOBODY);
  chmodSync(path, 0o500);

  const owner = startOwner(path, { uid: NOBODY, gid: NOBODY });

  expect(await firstLine(owner)).toMatch(
    /^StateError: The state directory .* is not writable: .* Change its permissions/,
  );
});

test.runIf(isRoot)("another user's directory is refused", async () => {
  const path = temporaryFolder();
  chmodSync(path, 0o777);

  const owner = startOwner(path, { uid: NOBODY, gid: NOBODY });

  expect(await firstLine(owner)).toMatch(/^StateError: .* belongs to user 0, not to user 65534/);
});

test.runIf(isRoot)(
  "a link to another user's directory is refused even to root, a link to one's own is followed",
  () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'theirs'));
    chownSync(join(folder, 'theirs'), NOBODY, NOBODY);
    mkdirSync(join(folder, 'mine'));
    symlinkSync(join(folder, 'theirs'), join(folder, 'to-theirs'));
    symlinkSync(join(folder, 'mine'), join(folder, 'to-mine'));

    expect(() => openStateDirectory(join(folder, 'to-theirs'))).toThrow(
      /is a link to a directory that belongs to user 65534/,
    );
    openStateDirectory(join(folder, 'to-mine')).release();
    expect(readdirSync(join(folder, 'theirs'))).toEqual([]);
  },
);

function startOwner(path: string, options: SpawnOptions = {}): ChildProcess {
  const script = fileURLToPath(new URL('owner.ts', import.meta.url));
  const child = spawn(process.execPath, [script, path, 'http://127.0.0.1:9'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...options,
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0]!;
}
