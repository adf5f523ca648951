// `npm run mutants`: draws mutants of the files that compose the gateway, by a seed, and tells which of them no test notices.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Compiler } from './compiler.ts';
import { mutate, type Mutation, mutationsOf } from './mutations.ts';

/** Where the parts are joined: what is wrong here passes the tests of every part. */
const COMPOSITION = inFolders({
  'src/core': ['call-context'],
  'src/policy': ['policy'],
  'src/quota': ['in-flight-memory'],
  'src/audit': ['audit-log'],
  'src/gateway': [
    ...['pipeline', 'resolve', 'dispatch', 'forward', 'subscribe', 'event-log'],
    ...['compose', 'upstreams', 'gateway', 'shutdown'],
    ...['configurations', 'snapshots', 'reload'],
  ],
  'src/downstream/mcp': ['endpoint', 'modern', 'legacy'],
});

const SEED = 20_261_201;
const COUNT = 60;

/** Tests that run for every mutant. */
const WIRING = 'test/gateway/wiring';

/** Longer than all these tests take together: what runs on is taken for noticed. */
const LONGEST_MS = 120_000;

const ROOT = join(import.meta.dirname, '../..');
const COPIED = ['src', 'test', 'fixtures', 'package.json', 'tsconfig.json'];

interface Mutant extends Mutation {
  readonly file: string;
}

interface Verdict {
  readonly killed: boolean;
  /** The test that noticed it, or how else it ended. */
  readonly by: string;
}

const { values } = parseArgs({
  options: { count: { type: 'string' }, seed: { type: 'string' }, file: { type: 'string' }, skip: { type: 'string' } },
});
const survivors = await run({
  count: Number(values.count ?? COUNT),
  seed: Number(values.seed ?? SEED),
  files: values.file === undefined ? COMPOSITION : COMPOSITION.filter((file) => file.includes(values.file ?? '')),
  skip: Number(values.skip ?? 0),
});
process.exitCode = survivors === 0 ? 0 : 1;

/** Tries so many mutants, after those to be skipped, and returns how many no test noticed. */
async function run(wanted: { count: number; seed: number; files: readonly string[]; skip: number }): Promise<number> {
  const place = mkdtempSync(join(tmpdir(), 'mutants-'));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(place, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(place, 'node_modules'));
    const folders = [...new Set(wanted.files.flatMap(testsFor))];
    const sound = await test(place, folders);
    if (sound.killed) throw new Error(`the tests fail without any mutant: ${sound.by}`);
    const survived: Mutant[] = [];
    let tried = 0;
    for (const mutant of drawn(wanted)) {
      const began = performance.now();
      const { killed, by } = await tryMutant(place, mutant);
      const seconds = ((performance.now() - began) / 1_000).toFixed(1);
      console.log(
        `${++tried + wanted.skip}. ${killed ? 'killed' : 'SURVIVED'} in ${seconds} s: ${by}\n${diffOf(mutant)}\n`,
      );
      if (!killed) survived.push(mutant);
    }
    console.log(`${tried} mutants of seed ${wanted.seed}, ${survived.length} survived`);
    for (const mutant of survived) console.log(`\n${diffOf(mutant)}`);
    return survived.length;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** The first mutants that compile, of all in the order that the seed gives. */
function* drawn({ count, seed, files, skip }: { count: number; seed: number; files: readonly string[]; skip: number }) {
  const compiler = new Compiler(ROOT);
  const all = files.flatMap((file) => mutationsOf(file, read(file)).map((mutation): Mutant => ({ ...mutation, file })));
  let valid = 0;
  for (const mutant of inDrawOrder(all, seed)) {
    if (valid === skip + count) return;
    if (compiler.faultIn(join(ROOT, mutant.file), mutate(read(mutant.file), mutant)) !== undefined) continue;
    if (++valid > skip) yield mutant;
  }
}

async function tryMutant(place: string, mutant: Mutant): Promise<Verdict> {
  const source = read(mutant.file);
  writeFileSync(join(place, mutant.file), mutate(source, mutant));
  try {
    return await test(place, testsFor(mutant.file));
  } finally {
    writeFileSync(join(place, mutant.file), source);
  }
}

/** The test that mirrors the file, where there is one, comes after those of the wiring. */
function testsFor(file: string): string[] {
  const own = file.replace(/^src/, 'test').replace(/\.ts$/, '.test.ts');
  return existsSync(join(ROOT, own)) ? [WIRING, own] : [WIRING];
}

/** Runs tests in a group of processes of their own, so that nothing of a mutant that hangs is left. */
function test(place: string, tests: readonly string[]): Promise<Verdict> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const given = [vitest, 'run', '--config', 'test/mutants/vitest.config.ts', '--root', place, ...tests];
  const child = spawn(process.execPath, given, { cwd: place, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  let isLate = false;
  const end = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, LONGEST_MS);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      const by = isLate
        ? 'it hangs'
        : (/FAIL\s+(.*)/.exec(withoutColours(output))?.[1] ?? /\S*Error: .*/.exec(output)?.[0]);
      resolve({ killed: code !== 0, by: code === 0 ? 'no test noticed' : (by ?? output.slice(-1_000)) });
    });
  });
}

function withoutColours(text: string): string {
  return text.replaceAll(/\u001b\[[0-9;]*m/g, '');
}

function inFolders(names: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(names).flatMap(([folder, files]) => files.map((file) => `${folder}/${file}.ts`));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** The lines that differ, under where they are and what was done. */
function diffOf(mutant: Mutant): string {
  const { line, before, after } = changeOf(mutant);
  const signed = (text: string, sign: string) => text.replaceAll(/^/gm, `  ${sign} `);
  return `${mutant.file}:${line} ${mutant.what}\n${signed(before, '-')}\n${signed(after, '+')}`;
}

/** The lines that differ, and the number of the one where the change begins. */
function changeOf(mutant: Mutant): { line: number; before: string; after: string } {
  const source = read(mutant.file);
  const from = source.lastIndexOf('\n', mutant.start - 1) + 1;
  const to = (source.indexOf('\n', mutant.end) + source.length + 1) % (source.length + 1);
  return {
    line: source.slice(0, mutant.start).split('\n').length,
    before: source.slice(from, to),
    after: mutate(source, mutant).slice(from, to + mutant.text.length - (mutant.end - mutant.start)),
  };
}

/** By a hash of what is done to which line: an edit of other lines, or a line that moves, leaves the draw as it is. */
function inDrawOrder(all: readonly Mutant[], seed: number): Mutant[] {
  const keyed = all.map((mutant) => {
    const { before, after } = changeOf(mutant);
    const key = createHash('sha256').update(JSON.stringify([seed, mutant.what, before.trim(), after.trim()]));
    return { mutant, key: key.digest('hex') };
  });
  return keyed
    .sort((one, other) => (one.key < other.key ? -1 : Number(one.key > other.key)))
    .map(({ mutant }) => mutant);
}
