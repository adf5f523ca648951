// The rules of the source tree that no linter knows.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const BANNED = /\b(manager|service|helpers?|utils?|common|misc|base|impl|orchestrator)\b/;
const MAX_LINES = 400;

const filesUnder = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();

const sources = filesUnder('src');
const all = ['src', 'test', 'fixtures', 'bench'].flatMap(filesUnder);
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

test('ARCHITECTURE.md lists every folder of src, and no other', () => {
  const table = read('ARCHITECTURE.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const listed = table.flatMap((line) =>
    [...line.split('|')[1]!.matchAll(/`(src\/[\w/]+)`/g)].map(([, folder]) => folder!),
  );
  const folders = [...new Set(sources.map((file) => dirname(file)))];

  // a listed folder stands for those inside it
  expect(folders.filter((folder) => !listed.some((one) => folder === one || folder.startsWith(`${one}/`)))).toEqual([]);
  expect(listed.filter((one) => !folders.some((folder) => folder === one || folder.startsWith(`${one}/`)))).toEqual([]);
});

test('the top level is what ARCHITECTURE.md says', () => {
  for (const folder of ['test', 'fixtures', 'bench']) expect(read('ARCHITECTURE.md')).toContain(`| \`${folder}\``);
});

test('every file that a document names is there', () => {
  const documents = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  const missing = ['ARCHITECTURE.md', 'AGENTS.md', 'CONTRIBUTING.md', 'README.md', ...documents].flatMap((document) =>
    [...read(document).matchAll(/`([\w./-]+\.ts)`/g)]
      .map(([, name]) => name!)
      .filter((name) => !all.some((file) => file === name || file.endsWith(`/${name}`)))
      .map((name) => `${document}: ${name}`),
  );

  expect(missing).toEqual([]);
});

test('every file begins with one sentence that says what lives there', () => {
  const begins = (file: string) => {
    const [first = '', second = ''] = read(file)
      .replace(/^#!.*\n/, '')
      .split('\n');
    return /^\/\/ \S.{10,150}[.:]$/.test(first) && !/\. [A-Z]/.test(first.slice(0, -1)) && !second.startsWith('//');
  };

  expect(sources.filter((file) => !begins(file))).toEqual([]);
});

test('no file is longer than it can be read in one go', () => {
  const length = (file: string) =>
    read(file)
      .split('\n')
      .filter((line) => line.trim() !== '').length;

  expect(all.filter((file) => length(file) > MAX_LINES)).toEqual([]);
});

test('no source file imports more than 20 others', () => {
  const imports = (file: string) => read(file).match(/^(import .*|\}) from '/gm)?.length ?? 0;

  expect(sources.filter((file) => imports(file) > 20)).toEqual([]);
});

test('files are named by what is in them, in words of the field', () => {
  const names = all.map((file) => basename(file, '.ts').replace(/\.test$/, ''));

  expect(names.filter((name) => BANNED.test(name.replaceAll('-', ' ')))).toEqual([]);
  expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name.replace(/\.config$/, '')))).toEqual([]);
});

test('the notes for later are in the tracker, not in the code', () => {
  expect(
    all.filter((file) => !file.endsWith('architecture.test.ts') && /\b(TODO|FIXME|XXX)\b/.test(read(file))),
  ).toEqual([]);
});
