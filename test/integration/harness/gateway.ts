// A real gateway process for tests: its own configuration, state directory and port.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { ask } from '../../../src/cli/control-client.ts';
import { controlSocketPath } from '../../../src/storage/control-socket.ts';

export const ROOT = join(import.meta.dirname, '../../..');
export const BIN = join(ROOT, 'dist/cli/bin.js');

/** The entry of a fixture server that speaks over stdio; a gateway passes on little of its own environment. */
export function fixture(
  name: string,
  ...args: string[]
): { command: string; args: string[]; env: Record<string, string> } {
  const { NODE_COMPILE_CACHE } = process.env;
  return {
    command: process.execPath,
    args: [join(ROOT, 'fixtures/servers', name), ...args],
    env: NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE },
  };
}

export interface Workspace {
  readonly directory: string;
  readonly config: string;
  readonly state: string;
  write(name: string, content: unknown): void;
  remove(): void;
}

/** A folder with a configuration, removed by `remove`. */
export function workspace(config: object): Workspace {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-test-'));
  const write = (name: string, content: unknown) => {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  };
  write('mcp-gateway.json', config);
  return {
    directory,
    config: join(directory, 'mcp-gateway.json'),
    state: join(directory, 'state'),
    write,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface RunningGateway extends Workspace {
  readonly process: ChildProcess;
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly url: string;
  /** Everything that it wrote to stderr so far. */
  log(): string;
  /** Resolves when every server has been tried once. */
  attempted(): Promise<void>;
  cli(...args: string[]): Promise<CliResult>;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly config?: object;
  readonly files?: Record<string, unknown>;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly space?: Workspace;
  /** What runs the program, before its arguments. */
  readonly program?: readonly string[];
}

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** Starts the built gateway and waits for the line that says where it listens. */
export async function startGateway({
  config = {},
  files = {},
  args = [],
  env = {},
  space,
  program = [process.execPath, BIN],
}: StartOptions): Promise<RunningGateway> {
  const place = space ?? workspace(config);
  for (const [name, content] of Object.entries(files)) place.write(name, content);
  const [file = '', ...before] = program;
  const child = spawn(
    file,
    [
      ...before,
      'serve',
      '--port',
      '0',
      '--config',
      place.config,
      '--state',
      place.state,
      '--log-level',
      'debug',
      ...args,
    ],
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  live.add(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, 'exit').then(() => live.delete(child));
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited.then(() => [''])]);
  const url = String(line[0]);
  if (!url.startsWith('http')) throw new Error(`the gateway did not start:\n${stderr}`);
  return {
    ...place,
    process: child,
    url,
    origin: new URL(url).origin,
    log: () => stderr,
    attempted: () => attempted(place),
    cli: (...rest) => runCli([...rest, '--config', place.config, '--state', place.state]),
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
      if (!space) place.remove();
      requireSettled(stderr);
      return child.exitCode;
    },
  };
}

/** Throws where a gateway stopped with calls that it never settled: it made a context for each, and said what became of it for less. */
function requireSettled(log: string): void {
  const unsettled = log.split('\n').find((line) => line.includes('calls were not settled when the gateway stopped'));
  if (unsettled !== undefined) throw new Error(unsettled);
}

/** Resolves when every server of the gateway that owns the state directory has been tried once. */
export async function attempted({ state }: { readonly state: string }): Promise<void> {
  await askControl(state, '/api/attempted');
}

/** What the owner of a state directory answers on its control socket. */
export async function askControl(state: string, path: string): Promise<unknown> {
  const { text } = await ask({ path: controlSocketPath(state), directory: state }, { path });
  return JSON.parse(text);
}

/** Runs a command of the built CLI to its end. */
export async function runCli(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<CliResult> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [BIN, ...args], {
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, ...options.env },
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}
