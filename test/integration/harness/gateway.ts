// Gateways for tests, as a process or in this one: each with its own configuration, state directory and port.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { ask } from '../../../src/cli/control-client.ts';
import type * as Options from '../../../src/cli/options.ts';
import type * as Serve from '../../../src/cli/serve.ts';
import type * as Running from '../../../src/cli/run-gateway.ts';
import type * as Serving from '../../../src/cli/serving.ts';
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

/** A server with more in its environment: what it has already stays. */
export function withEnv(server: ReturnType<typeof fixture>, env: Record<string, string>): ReturnType<typeof fixture> {
  return { ...server, env: { ...server.env, ...env } };
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
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly url: string;
  /** Everything that it logged so far. */
  log(): string;
  /** Resolves when every server has been tried once. */
  attempted(): Promise<void>;
  cli(...args: string[]): Promise<CliResult>;
  /** Ends it in order, as SIGTERM does, and removes its workspace unless it was given one. */
  stop(): Promise<unknown>;
}

export interface GatewayProcess extends RunningGateway {
  readonly process: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface OpenOptions {
  readonly config?: object;
  readonly files?: Record<string, unknown>;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly space?: Workspace;
}

export interface StartOptions extends OpenOptions {
  /** What runs the program, before its arguments. */
  readonly program?: readonly string[];
}

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** The workspace of a gateway, with its files in place. */
function placeOf({ config = {}, files = {}, space }: OpenOptions): Workspace {
  const place = space ?? workspace(config);
  for (const [name, content] of Object.entries(files)) place.write(name, content);
  return place;
}

/** The flags of `serve`; those of the test stand behind, and win. */
function flagsOf({ config, state }: Workspace, { args = [] }: OpenOptions): string[] {
  return ['--port', '0', '--config', config, '--state', state, '--log-level', 'debug', ...args];
}

/** What every gateway of a test can do, however it runs. */
function openedAt(place: Workspace, url: string): Omit<RunningGateway, 'log' | 'stop'> {
  return {
    ...place,
    url,
    origin: new URL(url).origin,
    attempted: () => attempted(place),
    cli: (...rest) => runCli([...rest, '--config', place.config, '--state', place.state]),
  };
}

/**
 * Opens the built gateway in this process, as `serve` does, and waits until it listens: for every test of which the process itself is not the
 * subject. Processes that the test starts are taken for servers of the gateway, so that their requests are refused on loopback.
 */
export async function openGateway(options: OpenOptions): Promise<RunningGateway> {
  const { openServing, openLog, readArguments, readServing, serve } = await builtServing();
  const place = placeOf(options);
  const flags = readArguments('serve', serve, flagsOf(place, options));
  const invocation = { ...flags, env: { ...process.env, ...options.env }, cwd: process.cwd() };
  let log = '';
  const logger = await openLog(invocation, 'info', (line) => (log += `${JSON.stringify(line)}\n`));
  const serving = await openServing({ ...readServing(invocation), logger });
  serving.gateway.start();
  let stopped: Promise<void> | undefined;
  return {
    ...openedAt(place, serving.url),
    log: () => log,
    stop: async () => {
      await (stopped ??= serving.stop());
      if (!options.space) place.remove();
      requireSettled(log);
    },
  };
}

/** The parts of the built command line that compose a gateway: what runs in this process is what runs as a process. */
async function builtServing() {
  const built = <T>(file: string) => import(join(ROOT, 'dist/cli', file)) as Promise<T>;
  const [options, serve, serving, running] = await Promise.all([
    built<typeof Options>('options.js'),
    built<typeof Serve>('serve.js'),
    built<typeof Serving>('serving.js'),
    built<typeof Running>('run-gateway.js'),
  ]);
  return { ...options, ...serve, ...serving, ...running };
}

/** Starts the built gateway as a process and waits for the line that says where it listens. */
export async function startGateway(options: StartOptions): Promise<GatewayProcess> {
  const { env = {}, program = [process.execPath, BIN] } = options;
  const place = placeOf(options);
  const [file = '', ...before] = program;
  const child = spawn(file, [...before, 'serve', ...flagsOf(place, options)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  live.add(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, 'exit').then(() => live.delete(child));
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited.then(() => [''])]);
  const url = String(line[0]);
  if (!url.startsWith('http')) throw new Error(`the gateway did not start:\n${stderr}`);
  return {
    ...openedAt(place, url),
    process: child,
    log: () => stderr,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
      if (!options.space) place.remove();
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
  const signal = AbortSignal.timeout(60_000);
  const { text } = await ask({ path: controlSocketPath(state), directory: state }, { path, signal });
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
