// Fixture servers over HTTP as processes of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from './gateway.ts';

export interface RunningServer {
  readonly url: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** Starts a fixture server and waits for the line that says where it listens. */
export async function startServer(name: string, ...args: string[]): Promise<RunningServer> {
  const child = spawn(process.execPath, [join(ROOT, 'fixtures/servers', name), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  live.add(child);
  const exited = once(child, 'exit').then(() => live.delete(child));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const url = /http:\S+/.exec(line)?.[0];
  if (url === undefined) throw new Error(`${name} said ${line} instead of where it listens`);
  return {
    url,
    process: child,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
