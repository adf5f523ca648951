// Commands of the built command line inside this process: for what they print and the status they end with, where the process is not the subject.
import { join } from 'node:path';
import { vi } from 'vitest';
import type * as Main from '../../../src/cli/main.ts';
import { BIN, type CliResult, ROOT, type Workspace } from './gateway.ts';

interface Where {
  readonly cwd?: string;
}

/** The end of the command that began last: they run one after the other, because a process has one stdout. */
const turn = { ended: Promise.resolve<unknown>(undefined) };

/** Runs a command to its end, as `runCli` does; what it logs is not in its stderr. A command that only a signal ends needs a process. */
export function runInside(args: readonly string[], where: Where = {}): Promise<CliResult> {
  const running = turn.ended.then(() => runAlone(args, where));
  turn.ended = running.catch(() => undefined);
  return running;
}

/** Runs commands on the gateway, or on the place of one. */
export function insideOf({ config, state }: Pick<Workspace, 'config' | 'state'>) {
  return (...args: readonly string[]) => runInside([...args, '--config', config, '--state', state]);
}

async function runAlone(args: readonly string[], { cwd = process.cwd() }: Where): Promise<CliResult> {
  const { statusOf } = (await import(join(ROOT, 'dist/cli/main.js'))) as typeof Main;
  const written = { stdout: '', stderr: '' };
  const forget = rememberListeners();
  const { argv } = process;
  const mocks = [
    vi.spyOn(process, 'cwd').mockReturnValue(cwd),
    ...(['stdout', 'stderr'] as const).map((name) =>
      vi.spyOn(process[name], 'write').mockImplementation((text) => {
        written[name] += String(text);
        return true;
      }),
    ),
  ];
  process.argv = [process.execPath, BIN, ...args];
  try {
    return { status: await statusOf(args), ...written };
  } finally {
    process.argv = argv;
    for (const mock of mocks) mock.mockRestore();
    forget();
  }
}

/** A command listens for signals as long as its process lives: what it returns ends that. */
function rememberListeners(): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  return () => {
    for (const [at, signal] of signals.entries())
      for (const listener of process.listeners(signal))
        if (!before[at]!.includes(listener)) process.off(signal, listener);
  };
}
