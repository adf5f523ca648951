import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { controlKeyFile, makeControlKey, readControlKey } from '../../src/storage/control-key.ts';
import { temporaryFolder } from './temporary.ts';

test('each owner makes a key of its own, which others of the directory read', () => {
  const folder = temporaryFolder();
  const first = makeControlKey(folder);
  expect(readControlKey(folder)).toEqual(first);
  const second = makeControlKey(folder);

  expect(second).not.toEqual(first);
  expect(readControlKey(folder)).toEqual(second);
});

test.skipIf(process.platform === 'win32')('the file is for its user alone, whatever a killed owner left', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'control.key.partial'), 'left', { mode: 0o666 });
  makeControlKey(folder);

  expect(statSync(controlKeyFile(folder)).mode & 0o777).toBe(0o600);
});

test('a file that is missing or not whole gives no key', () => {
  const folder = temporaryFolder();
  expect(readControlKey(folder)).toBeUndefined();
  makeControlKey(folder);
  const file = controlKeyFile(folder);
  writeFileSync(file, readFileSync(file, 'utf8').slice(0, 20));
  expect(readControlKey(folder)).toBeUndefined();
  rmSync(file);
  expect(readControlKey(folder)).toBeUndefined();
});
