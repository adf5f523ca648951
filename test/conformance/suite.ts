// The suite's own program: what it requires, what it finds at a URL, and what its servers see of a client.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Leg, Revision } from './runs.ts';

/** One thing that a scenario looked at. */
export interface Check {
  readonly id: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  readonly description?: string;
  readonly errorMessage?: string;
}

/** The checks of every scenario that ran to its end. */
export type Findings = ReadonlyMap<string, readonly Check[]>;

const SCENARIO_LIMIT_MS = 15_000;
const RUN_LIMIT_MS = 70_000;
const MAX_SAID = 4_000;

const manifest = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/package.json'));
const program = join(dirname(manifest), 'dist/index.js');

export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };

const SECTION = {
  server: /^Server scenarios.*\n((?: {2}- .+\n)+)/m,
  client: /^Client scenarios.*\n((?: {2}- .+\n)+)/m,
} as const;

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** The scenarios for servers or for clients that a revision requires, in the suite's order. */
export async function requiredScenarios(leg: Leg, revision: Revision): Promise<readonly string[]> {
  const args = [program, 'list', '--requirements', revision];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const section = SECTION[leg].exec(stdout)?.[1];
  if (section === undefined) throw new Error(`the suite does not list what ${revision} requires, but said:\n${stdout}`);
  return [...section.matchAll(/- (.+)/g)].map(([, name]) => String(name));
}

const checksIn = (directory: string): Check[] =>
  JSON.parse(readFileSync(join(directory, 'checks.json'), 'utf8')) as Check[];

function read(directory: string): Findings {
  const findings = new Map<string, readonly Check[]>();
  for (const entry of readdirSync(directory)) {
    const scenario = /^server-(.+?)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry)?.[1];
    // A scenario that threw leaves its folder empty.
    const ended = scenario !== undefined && existsSync(join(directory, entry, 'checks.json'));
    if (ended) findings.set(scenario, checksIn(join(directory, entry)));
  }
  return findings;
}

interface Ended {
  readonly status: number | null;
  /** The end of what it wrote to stderr. */
  readonly said: string;
}

/** Runs the suite to its end, or kills it after `limit` milliseconds. */
async function runSuite(args: readonly string[], limit: number): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  live.add(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-MAX_SAID)));
  const timer = setTimeout(() => child.kill('SIGKILL'), limit);
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  live.delete(child);
  return { status, said };
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs everything that the suite has for servers of a revision against `url`; what takes longer than 70 s in all is missing. */
export async function examine(url: string, revision: Revision): Promise<Findings> {
  return await inDirectory(async (directory) => {
    const limit = String(SCENARIO_LIMIT_MS);
    const args = ['server', '--url', url, '--requirements', revision, '--timeout', limit, '--output-dir', directory];
    await runSuite(args, RUN_LIMIT_MS);
    return read(directory);
  });
}

export interface ClientScenario {
  readonly scenario: string;
  readonly revision: Revision;
  /** The client, which the suite starts with the URL of its server behind it. */
  readonly command: string;
}

/** Runs one scenario for clients; that the client itself failed is one more check. */
export async function examineClient({ scenario, revision, command }: ClientScenario): Promise<readonly Check[]> {
  return await inDirectory(async (directory) => {
    const of = ['--scenario', scenario, '--spec-version', revision, '--timeout', String(SCENARIO_LIMIT_MS)];
    const args = ['client', '--command', command, ...of, '--output-dir', directory];
    const { status, said } = await runSuite(args, SCENARIO_LIMIT_MS * 2);
    const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
    const place = entries.find(({ name }) => name === 'checks.json')?.parentPath;
    const checks = place === undefined ? [] : checksIn(place);
    if (status === 0) return checks;
    const why = place === undefined ? said : readFileSync(join(place, 'stderr.txt'), 'utf8');
    return [...checks, { id: 'client-ended-well', status: 'FAILURE', errorMessage: why }];
  });
}
