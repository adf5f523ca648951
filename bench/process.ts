// Starting and stopping the processes that the benchmark is made of.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 15_000;
const KEPT = 64 * 1024;

/** A process that listens. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly url: URL;
  /** From before the spawn until its URL was read, in milliseconds. */
  readonly startedIn: number;
  /** Ends the process, with SIGKILL if SIGTERM does not within 15 s; does nothing the second time. */
  readonly stop: () => Promise<void>;
}

/** What must not outlive this process, however it ends. */
const children = new Set<ChildProcess>();
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

/** Has the child killed when this process ends. */
export function tie<T extends ChildProcess>(child: T): T {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** The path of a file of this repository. */
export const path = (relative: string): string => fileURLToPath(new URL(`../${relative}`, import.meta.url));

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await exited;
  clearTimeout(timer);
}

/** The environment without what would send loopback traffic elsewhere or change what the gateway reads. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(https?_proxy|all_proxy|mcp_gateway_.*)$/i.test(name));
  return Object.fromEntries(kept);
}

/**
 * Runs `node ARGS` until it prints the URL of its MCP endpoint on either stream.
 * Throws with its output if it ends or takes longer than 30 s.
 */
export async function launch(args: readonly string[]): Promise<Running> {
  const before = performance.now();
  const child = tie(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment() }));
  const named = `node ${args.join(' ')}`;
  const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  try {
    const url = await firstUrl(child, named);
    const startedIn = performance.now() - before;
    const end = (): Promise<void> => stop(child);
    return { pid: child.pid ?? 0, url, startedIn, stop: end, [Symbol.asyncDispose]: end };
  } finally {
    clearTimeout(timer);
  }
}

/** Reads both streams until one of them names an endpoint; afterwards they are drained and forgotten. */
function firstUrl(child: ChildProcess, named: string): Promise<URL> {
  return new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-KEPT);
      const url = /(http:\/\/127\.0\.0\.1:\d+\/(?:mcp|sse))(?![\w/]).*\n/.exec(output)?.[1];
      if (url === undefined) return;
      for (const stream of [child.stdout, child.stderr]) stream?.removeListener('data', read).resume();
      resolve(new URL(url));
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(new Error(`${named} ended (${String(code ?? signal)}) before it listened:\n${output}`));
    });
  });
}

/** Runs `node ARGS` to its end and gives its exit code and how long it took in milliseconds. */
export async function runToEnd(args: readonly string[]): Promise<{ code: number | null; milliseconds: number }> {
  const before = performance.now();
  const child = tie(spawn(process.execPath, args, { stdio: 'ignore', env: environment() }));
  await once(child, 'exit');
  return { code: child.exitCode, milliseconds: performance.now() - before };
}
