// One server process: starts it in a containment, passes lines in both directions, keeps the end of its stderr, ends its process tree.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { MIB } from '../../../core/bounds/bound.ts';
import { type Bounds, BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { resolveCommand } from './command.ts';
import type { Containment, Enclosure } from './containment/containment.ts';
import { type DroppedLine, LineSplitter } from '../../../protocol/mcp/line-splitter.ts';
import { lastWords } from './last-words.ts';
import { StderrTail } from './stderr-tail.ts';
import { InOrder, ReadFairness } from '../../../core/in-flight.ts';

/** What to run, and how. */
export interface StdioProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** The most bytes in one line from the server. */
  readonly maxMessageBytes: number;
  /** Secrets to remove from what is kept of stderr. */
  readonly redact: readonly string[];
  readonly bounds?: Bounds | undefined;
  /** The containment to start in. */
  readonly containment: () => Promise<Containment>;
}

/** How a process ended. */
export interface ProcessExit {
  /** A sentence for callers. */
  readonly message: string;
  /** A sentence for the operator alone, with the cause on stderr. */
  readonly detail?: string;
}

/** What the owner of the process hears of it. */
export interface StdioProcessHandlers {
  /** One line. The next one is passed on when the promise has resolved. */
  line(text: string): Promise<void> | void;
  /** A line that was too long has ended, or does not end. */
  dropped(line: DroppedLine): void;
  /** Called once, after the last line. Not called for a process that did not start. */
  exit(exit: ProcessExit): void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const hasEnded = (child: Child) => child.exitCode !== null || child.signalCode !== null;

/** Starts once; after `stop` or an exit, make a new one. */
export class StdioProcess {
  readonly #options: StdioProcessOptions;
  readonly #handlers: StdioProcessHandlers;
  readonly #stderr: StderrTail;
  readonly #bounds: Bounds;
  #child: Child | undefined;
  #containment: Containment | undefined;
  #enclosure: Enclosure | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #ended: Promise<void> = Promise.resolve();
  #killTimer: NodeJS.Timeout | undefined;
  /** Why the gateway killed the process, if it did. */
  #killed: string | undefined;

  constructor(options: StdioProcessOptions, handlers: StdioProcessHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#stderr = new StderrTail(options.redact);
    this.#bounds = options.bounds ?? BOUNDS;
  }

  /** The process id; that of the wrapper if the containment has one. Undefined before the start. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How the process tree is contained. Undefined before the start. */
  get containment(): Containment | undefined {
    return this.#containment;
  }

  /** The last lines on stderr, without control characters and secrets. */
  stderrTail(): string[] {
    return this.#stderr.lines();
  }

  /** Hides what came on stderr so far, from the first chunk that mentions the word on. */
  hideStderrFrom(word: string): void {
    this.#stderr.hideFrom(word);
  }

  /** Starts the process; resolves when it runs. Throws `upstream_unreachable` if it cannot start, `upstream_closed` if it was stopped meanwhile. */
  start(): Promise<void> {
    if (this.#starting !== undefined) {
      return Promise.reject(new GatewayError('internal', 'A StdioProcess starts only once; make a new one.'));
    }
    this.#starting = this.#start();
    return this.#starting;
  }

  /** Queues one line; a process that is about to end does not get it. Throws `overloaded` if the queue is full, `upstream_closed` if the process does not run. */
  send(line: string): void {
    const { command } = this.#options;
    const child = this.#child;
    if (child === undefined || hasEnded(child)) {
      throw new GatewayError(
        'upstream_closed',
        `The process of "${command}" does not run. The gateway starts it again by itself; try again shortly.`,
      );
    }
    // either character ends a line for some readers, so one message would become two
    if (line.includes('\n') || line.includes('\r')) {
      throw new GatewayError(
        'internal',
        'A line for a server has a line break in it; serialize the message without any.',
      );
    }
    const { stdin } = child;
    const { serverInput } = this.#bounds;
    if (!stdin.writable) return;
    // the queue counts a string in characters, so a line that waits is queued as bytes; one that does not wait is cheaper as a string
    const text = `${line}\n`;
    const chunk = stdin.writableLength === 0 ? text : Buffer.from(text);
    if (stdin.writableLength + chunk.length > serverInput) {
      throw new GatewayError(
        'overloaded',
        `The server "${command}" does not read its input: ${serverInput / MIB} MiB wait for it. Try again later, or restart the server.`,
      );
    }
    stdin.write(chunk);
  }

  /** Closes the input, gives the process time to end, then kills its tree. Resolves when the process has ended. Further calls change nothing. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { command, args, env, cwd } = this.#options;
    await this.#requireDirectory();
    const program = resolveCommand(command, { path: env.PATH ?? env.Path, cwd, pathExt: env.PATHEXT });
    this.#containment = await this.#options.containment();
    const enclosure = await this.#containment.open().catch((error: unknown) => {
      throw this.#startError(error);
    });
    try {
      if (this.#stopping !== undefined) {
        throw new GatewayError('upstream_closed', `"${command}" was stopped before it had started.`);
      }
      this.#child = await this.#spawn(enclosure.wrap([program, ...args], resolve(cwd)));
    } catch (error) {
      await enclosure.kill(undefined);
      throw error;
    }
    this.#enclosure = enclosure;
    this.#ended = this.#connect(this.#child, enclosure);
  }

  /** Node reports a missing directory as a missing program, so the gateway checks it first. */
  async #requireDirectory(): Promise<void> {
    const directory = resolve(this.#options.cwd);
    const advice = 'Create it, or correct `cwd`.';
    const found = await stat(directory).catch((error: unknown) => {
      throw new GatewayError(
        'upstream_unreachable',
        `"${this.#options.command}" was not started: its working directory ${directory} cannot be used (${reasonOf(error)}). ${advice}`,
        { cause: error },
      );
    });
    if (found.isDirectory()) return;
    throw new GatewayError(
      'upstream_unreachable',
      `"${this.#options.command}" was not started: its working directory ${directory} is not a directory. ${advice}`,
    );
  }

  #spawn([file = '', ...argv]: readonly string[]): Promise<Child> {
    return new Promise((started, failed) => {
      try {
        const child = spawn(file, argv, {
          cwd: this.#options.cwd,
          env: this.#options.env,
          stdio: ['pipe', 'pipe', 'pipe'],
          // the gateway can kill a group as a whole, and a Ctrl-C for the gateway does not reach it
          detached: process.platform !== 'win32',
          windowsHide: true,
        });
        child.once('error', (error) => failed(this.#startError(error)));
        child.once('spawn', () => started(child));
      } catch (error) {
        failed(this.#startError(error));
      }
    });
  }

  #startError(error: unknown): GatewayError {
    return new GatewayError(
      'upstream_unreachable',
      `"${this.#options.command}" could not be started: ${reasonOf(error)}. Check \`command\`, \`args\` and \`env\`, and the limits of this machine.`,
      { cause: error },
    );
  }

  /** Connects the pipes. Resolves when the process tree has ended and its output has been read. */
  async #connect(child: Child, enclosure: Enclosure): Promise<void> {
    const handlers = this.#handlers;
    // passes lines on in their order, however long the handler takes for one
    const lines = new InOrder();
    const splitter = new LineSplitter(
      { line: (text) => lines.run(() => handlers.line(text)), dropped: (line) => handlers.dropped(line) },
      this.#options.maxMessageBytes,
    );
    const [outFairness, errFairness] = [new ReadFairness(), new ReadFairness()];
    child.stdout.on('data', (chunk: Buffer) => {
      this.#handle(() => splitter.push(chunk));
      outFairness.read(chunk.length, child.stdout, lines);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr.push(chunk);
      errFairness.read(chunk.length, child.stderr);
    });
    // a server without one of its pipes is useless: it gets the same time to end as after `stop`
    child.stdin.on('error', () => this.#killSoon('it closed its input'));
    child.stdout.on('end', () => this.#killSoon('it closed its output'));
    let treeKilled = Promise.resolve();
    child.once('exit', () => {
      clearTimeout(this.#killTimer);
      treeKilled = enclosure.kill(child.pid);
      this.#killTimer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, this.#bounds.heldPipes);
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(this.#killTimer);
    await treeKilled;
    this.#handle(() => splitter.end());
    await new Promise<void>((done) => lines.run(done));
    handlers.exit(this.#exitOf(code, signal));
  }

  /** Kills the process if its output cannot be handled, so that the failure harms no other server. */
  #handle(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#kill(`its output could not be handled: ${reasonOf(error)}`);
    }
  }

  async #stop(): Promise<void> {
    await Promise.allSettled([this.#starting]);
    const child = this.#child;
    if (child === undefined) return;
    if (!hasEnded(child)) {
      child.stdin.end();
      this.#killSoon('it did not end when its input was closed');
    }
    await this.#ended;
  }

  #killSoon(reason: string): void {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    this.#killTimer ??= setTimeout(() => this.#kill(reason), this.#bounds.serverStop);
  }

  #kill(reason: string): void {
    this.#killed ??= reason;
    // `#connect` waits for its end
    void this.#enclosure?.kill(this.#child?.pid);
  }

  #exitOf(code: number | null, signal: string | null): ProcessExit {
    const how = signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was ended by ${signal}`;
    const unexpected = this.#stopping === undefined ? ' without being asked to' : '';
    const what = this.#killed === undefined ? `${how}${unexpected}` : `was killed, because ${this.#killed}`;
    const words = lastWords(this.stderrTail());
    return {
      message: `The process of "${this.#options.command}" ${what}.`,
      ...(words !== undefined && { detail: `Its last words on stderr: ${words}` }),
    };
  }
}
