// Starts servers that end with their test, and finds processes by a marker in their environment.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from '../../apart.ts';
import { detectContainment } from '../../../src/upstream/mcp/process/containment/detect.ts';
import type { DroppedLine } from '../../../src/protocol/mcp/line-splitter.ts';
import {
  type ProcessExit,
  StdioProcess,
  type StdioProcessOptions,
} from '../../../src/upstream/mcp/process/stdio-process.ts';

/** The path of a program of fixtures/processes. */
export const fixture = (name: string) => fileURLToPath(new URL(`../../../fixtures/processes/${name}`, import.meta.url));

/** The strongest containment of this machine, found once for all tests of a file. */
const found = await detectContainment();
export const containment = () => Promise.resolve(found);

/** What a process did. */
export interface Observed {
  readonly server: StdioProcess;
  readonly lines: string[];
  readonly dropped: DroppedLine[];
  readonly exits: ProcessExit[];
  readonly exited: Promise<ProcessExit>;
  /** Resolves when a line that passes has come. */
  readonly line: (passes: (text: string) => boolean) => Promise<string>;
}

/** A server that records what it does and is stopped when the test ends. */
export function observe(options: Partial<StdioProcessOptions> & { command: string }): Observed {
  const waiting: { passes: (text: string) => boolean; resolve: (text: string) => void }[] = [];
  const exit = Promise.withResolvers<ProcessExit>();
  const server = new StdioProcess(
    {
      args: [],
      env: { PATH: process.env.PATH! },
      cwd: '/',
      maxMessageBytes: 1024 * 1024,
      redact: [],
      containment,
      ...options,
    },
    {
      line: (text) => {
        observed.lines.push(text);
        for (const { passes, resolve } of waiting) if (passes(text)) resolve(text);
      },
      dropped: (line) => observed.dropped.push(line),
      exit: (info) => {
        observed.exits.push(info);
        exit.resolve(info);
      },
    },
  );
  const observed: Observed = {
    server,
    lines: [],
    dropped: [],
    exits: [],
    exited: exit.promise,
    line: (passes) => {
      const early = observed.lines.find(passes);
      return early !== undefined ? Promise.resolve(early) : new Promise((resolve) => waiting.push({ passes, resolve }));
    },
  };
  onTestFinished(() => server.stop());
  return observed;
}

/** The ids of all processes, in whatever namespace, group or session, that inherited MARKER=marker. */
export function marked(marker: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`MARKER=${marker}`);
      } catch {
        return false; // gone meanwhile, or another user's
      }
    })
    .map(Number);
}

/** The ids of the descendants of a process, but for those whose parent has ended. */
export function descendants(pid: number): number[] {
  let children: number[];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // gone meanwhile
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** The processes that still run, zombies excluded. */
export function alive(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      return !/^State:\s+Z/mu.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
    } catch {
      return false;
    }
  });
}
