import { mkdirSync, statSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { controlSocketPath } from '../../src/storage/control-socket.ts';
import { temporaryFolder } from './temporary.ts';

test('the socket is inside the directory when its name fits', () => {
  const folder = temporaryFolder();

  expect(controlSocketPath(folder)).toBe(join(folder, 'control.sock'));
});

test('a directory with a long name has its socket in a short private folder, and a server can listen there', async () => {
  const long = join(temporaryFolder(), 'x'.repeat(120));

  const path = controlSocketPath(long);

  expect(Buffer.byteLength(path)).toBeLessThanOrEqual(100);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  const server = createServer().listen(path);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
});

test('the address is the same before and after the directory is made, and by a link', () => {
  const folder = temporaryFolder();
  const long = join(folder, 'y'.repeat(120));
  const before = controlSocketPath(long);
  mkdirSync(long);
  symlinkSync(long, join(folder, 'link'));

  expect(controlSocketPath(long)).toBe(before);
  expect(controlSocketPath(join(folder, 'link'))).toBe(before);
});

test('different directories have different addresses', () => {
  const long = join(temporaryFolder(), 'z'.repeat(120));

  expect(controlSocketPath(`${long}1`)).not.toBe(controlSocketPath(`${long}2`));
});
