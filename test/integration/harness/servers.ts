// Fixture servers over HTTP as processes of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from './clients.ts';
import { ROOT } from './gateway.ts';

export interface RunningServer {
  readonly url: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** Starts a fixture server and waits for the line that says where it listens. */
export function startServer(name: string, ...args: string[]): Promise<RunningServer> {
  return startCommand({ command: process.execPath, args: [join(ROOT, 'fixtures/servers', name), ...args] });
}

/** Starts a server that says in its first line where it listens, and waits for that line. */
export async function startCommand({ command, args }: Command): Promise<RunningServer> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  live.add(child);
  const exited = once(child, 'exit').then(() => live.delete(child));
  const ended = exited.then(() => Promise.reject(new Error(`${command} ended before it said where it listens`)));
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), ended])) as [string];
  ended.catch(() => undefined);
  const url = /http:\S+/.exec(line)?.[0];
  if (url === undefined) throw new Error(`${command} said ${line} instead of where it listens`);
  return {
    url,
    process: child,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
