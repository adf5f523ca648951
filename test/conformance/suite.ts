// The suite's own program: what it requires, and what it finds at a URL.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Revision } from './runs.ts';

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

const manifest = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/package.json'));
const program = join(dirname(manifest), 'dist/index.js');

export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** The server scenarios that a revision requires, in the suite's order. */
export async function requiredScenarios(revision: Revision): Promise<readonly string[]> {
  const args = [program, 'list', '--requirements', revision];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const section = /^Server scenarios.*\n((?: {2}- .+\n)+)/m.exec(stdout)?.[1];
  if (section === undefined) throw new Error(`the suite does not list what ${revision} requires, but said:\n${stdout}`);
  return [...section.matchAll(/- (.+)/g)].map(([, name]) => String(name));
}

function read(directory: string): Findings {
  const findings = new Map<string, readonly Check[]>();
  for (const entry of readdirSync(directory)) {
    const scenario = /^server-(.+?)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry)?.[1];
    if (scenario === undefined) continue;
    findings.set(scenario, JSON.parse(readFileSync(join(directory, entry, 'checks.json'), 'utf8')) as Check[]);
  }
  return findings;
}

/** Runs everything that the suite has for servers of a revision against `url`; what takes longer than 70 s in all is missing. */
export async function examine(url: string, revision: Revision): Promise<Findings> {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const limit = String(SCENARIO_LIMIT_MS);
    const args = ['server', '--url', url, '--requirements', revision, '--timeout', limit, '--output-dir', directory];
    const child = spawn(process.execPath, [program, ...args], { stdio: 'ignore' });
    live.add(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
    await once(child, 'exit');
    clearTimeout(timer);
    live.delete(child);
    return read(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
