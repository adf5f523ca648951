// The gateway's own keys: kept, private, replaced in time.
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { Keyring } from '../../src/storage/keyring.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from './temporary.ts';

const DAY = 24 * 60 * 60_000;

afterEach(() => {
  vi.useRealTimers();
});

test('a key is made on first use and is the same after a restart', () => {
  const folder = temporaryFolder();
  const { newest } = new Keyring(folder);

  expect(newest.key).toHaveLength(32);
  expect(new Keyring(folder).newest).toEqual(newest);
  expect(new Keyring(temporaryFolder()).newest.key).not.toEqual(newest.key);
});

test.skipIf(process.platform === 'win32')('the file is for its owner alone, even if it was not', () => {
  const folder = temporaryFolder();
  const file = join(folder, 'keys.json');
  new Keyring(folder);
  expect(statSync(file).mode & 0o777).toBe(0o600);

  chmodSync(file, 0o644);
  new Keyring(folder);

  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(existsSync(`${file}.partial`)).toBe(false);
});

test('a key seals for 30 days, then opens what it sealed until the next one is as old', () => {
  vi.useFakeTimers();
  const folder = temporaryFolder();
  const keyring = new Keyring(folder);
  const first = keyring.newest;
  vi.advanceTimersByTime(30 * DAY);
  expect(keyring.newest).toEqual(first);

  vi.advanceTimersByTime(DAY);
  const second = keyring.newest;
  expect(second.id).not.toBe(first.id);
  expect(keyring.all).toEqual([second, first]);
  expect(new Keyring(folder).all).toEqual([second, first]);

  vi.advanceTimersByTime(31 * DAY);
  const third = new Keyring(folder).newest;
  expect(new Keyring(folder).all).toEqual([third, second]);
});

test.each([
  ['no JSON', '{"v":1,'],
  ['another version', '{"v":2,"keys":[]}'],
  ['no list of keys', '{"v":1}'],
  ['a key that is no object', '{"v":1,"keys":["k"]}'],
  ['a key that is cut', '{"v":1,"keys":[{"id":"a","key":"c2hvcnQ","madeAt":1}]}'],
])('a file with %s is not replaced: the error says what it costs to remove it', (_what, text) => {
  const folder = temporaryFolder();
  const file = join(folder, 'keys.json');
  writeFileSync(file, text);

  expect(() => new Keyring(folder)).toThrow(StateError);
  expect(() => new Keyring(folder)).toThrow(`Cannot read ${file}: `);
  expect(() => new Keyring(folder)).toThrow(/Remove it: a new one is made/);
  expect(readFileSync(file, 'utf8')).toBe(text);
});
