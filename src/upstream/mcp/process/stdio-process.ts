// One server process and its three pipes: starts it contained, carries lines both ways, keeps the end of its stderr, ends its tree.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type Bounds, BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { resolveCommand } from './command.ts';
import type { Containment, Enclosure } from './containment/containment.ts';
import { detectContainment } from './containment/detect.ts';
import { type DroppedLine, LineSplitter } from '../../../protocol/mcp/line-splitter.ts';
import { lastWords } from './last-words.ts';
import { StderrTail } from './stderr-tail.ts';
import { InOrder } from '../../../core/in-order.ts';
import { ReadFairness } from '../wire/read-fairness.ts';

/** What to run, and within which bounds. */
export interface StdioProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process; nothing is added. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** The most bytes in one line from the server. */
  readonly maxMessageBytes: number;
  /** Values that must never show in what is kept of stderr. */
  readonly redact: readonly string[];
  readonly bounds?: Bounds | undefined;
  /** The containment to start in; the one that was found for this machine if absent. */
  readonly containment?: (() => Promise<Containment>) | undefined;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Whether `stop` was called before. */
  readonly expected: boolean;
  /** A sentence that says how, for whoever called. */
  readonly message: string;
  /** A sentence for the operator alone: what it said last on stderr. */
  readonly detail?: string;
}

/** Receives what comes from the process. */
export interface StdioProcessHandlers {
  /** One line; a promise where what follows has to wait for it. */
  line(text: string): Promise<void> | void;
  oversize(bytes: number): void;
  /** A line that was too long has ended, or does not end. */
  dropped?(line: DroppedLine): void;
  /** Called once, after the last line. Not called for a process that did not start. */
  exit(exit: ProcessExit): void;
  /** What was queued after `send` returned false has been written. */
  drain?(): void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const hasEnded = (child: Child) => child.exitCode !== null || child.signalCode !== null;

/** Runs a server and its process tree. Starts once; after `stop` or an exit, make a new one. */
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
  #gone: Promise<void> = Promise.resolve();
  #killTimer: NodeJS.Timeout | undefined;
  /** Why the process was killed by us, if it was. */
  #killed: string | undefined;

  constructor(options: StdioProcessOptions, handlers: StdioProcessHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#stderr = new StderrTail(options.redact);
    this.#bounds = options.bounds ?? BOUNDS;
  }

  /** The process id: of the wrapper, where the containment has one. Undefined before the start. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How the process tree is contained. Undefined before the start. */
  get containment(): Containment | undefined {
    return this.#containment;
  }

  /** The last lines on stderr, at most 200 and 64 KiB, without control characters and secrets. */
  stderrTail(): string[] {
    return this.#stderr.lines();
  }

  /** Leaves out of the tail what the process said of something so far. */
  hideSaidOf(word: string): void {
    this.#stderr.hideSaidOf(word);
  }

  /** Starts the process; resolves when it runs. Throws `upstream_unreachable` if it cannot, `upstream_closed` if it was stopped meanwhile. */
  start(): Promise<void> {
    if (this.#starting !== undefined) {
      return Promise.reject(new GatewayError('internal', 'A StdioProcess starts only once; make a new one.'));
    }
    this.#starting = this.#start();
    return this.#starting;
  }

  /**
   * Queues one line. False means that the pipe is full: wait for `drain` before sending more; or that the process is about to
   * end, and the line went nowhere: `exit` follows. Throws `overloaded` beyond 64 MiB of queue, `upstream_closed` if the process
   * has not started or has gone.
   */
  send(line: string): boolean {
    const { command } = this.#options;
    const child = this.#child;
    if (child === undefined || hasEnded(child)) {
      throw new GatewayError(
        'upstream_closed',
        `The process of "${command}" does not run. The gateway starts it again by itself; try again shortly.`,
      );
    }
    // Either character ends a line for some reader, so one message would become two.
    if (line.includes('\n') || line.includes('\r')) {
      throw new GatewayError(
        'internal',
        'A line for a server has a line break in it; serialize the message without any.',
      );
    }
    const { stdin } = child;
    if (!stdin.writable) return false;
    // The queue counts a string in characters, so what has to wait is made bytes; what need not wait is cheaper as a string.
    const text = `${line}\n`;
    const chunk = stdin.writableLength === 0 ? text : Buffer.from(text);
    if (stdin.writableLength + chunk.length > this.#bounds.serverInput) {
      throw new GatewayError(
        'overloaded',
        `The server "${command}" does not read its input: 64 MiB wait for it. Try again later, or restart the server.`,
      );
    }
    return stdin.write(chunk);
  }

  /** Closes the input, waits for the process to end, then kills its tree; resolves when the process is gone. Repeating it changes nothing. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { command, args, env, cwd } = this.#options;
    await this.#requireDirectory();
    const program = resolveCommand(command, { path: env.PATH ?? env.Path, cwd, pathExt: env.PATHEXT });
    this.#containment = await (this.#options.containment ?? detectContainment)();
    const enclosure = await this.#containment.open().catch((error: unknown) => {
      throw this.#unstarted(error);
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
    this.#gone = this.#attend(this.#child, enclosure);
  }

  /** Checked first, because spawn reports a missing directory as a missing program. */
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
          // A group of its own can be killed as a whole, and a Ctrl-C meant for the gateway does not reach it.
          detached: process.platform !== 'win32',
          windowsHide: true,
        });
        child.once('error', (error) => failed(this.#unstarted(error)));
        child.once('spawn', () => started(child));
      } catch (error) {
        failed(this.#unstarted(error));
      }
    });
  }

  #unstarted(error: unknown): GatewayError {
    return new GatewayError(
      'upstream_unreachable',
      `"${this.#options.command}" could not be started: ${reasonOf(error)}. Check \`command\`, \`args\` and \`env\`, and the limits of this machine.`,
      { cause: error },
    );
  }

  /** Connects the pipes; resolves when nothing is left of the process and its output has been read. */
  async #attend(child: Child, enclosure: Enclosure): Promise<void> {
    const lines = new InOrder();
    const splitter = this.#splitter(lines);
    const [outTurns, errTurns] = [new ReadFairness(), new ReadFairness()];
    const out = { pause: () => child.stdout.pause(), resume: () => lines.run(() => void child.stdout.resume()) };
    child.stdout.on('data', (chunk: Buffer) => {
      this.#handle(() => splitter.push(chunk));
      outTurns.took(chunk.length, out);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr.push(chunk);
      errTurns.took(chunk.length, child.stderr);
    });
    child.stdin.on('drain', () => this.#handlers.drain?.());
    // Without one of its pipes a server is of no use: it gets the same time to end as after `stop`.
    child.stdin.on('error', () => this.#killSoon('it closed its input'));
    child.stdout.on('end', () => this.#killSoon('it closed its output'));
    let emptied = Promise.resolve();
    child.once('exit', () => {
      clearTimeout(this.#killTimer);
      emptied = enclosure.kill(child.pid);
      this.#killTimer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, this.#bounds.heldPipes);
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(this.#killTimer);
    await emptied;
    this.#handle(() => splitter.end());
    await new Promise<void>((done) => lines.run(done));
    this.#handlers.exit(this.#ending(code, signal));
  }

  /** Lines are handed on in their order, however long one of them takes. */
  #splitter(lines: InOrder): LineSplitter {
    const handlers = this.#handlers;
    return new LineSplitter(
      {
        line: (text) => lines.run(() => handlers.line(text)),
        oversize: (bytes) => handlers.oversize(bytes),
        dropped: (line) => handlers.dropped?.(line),
      },
      this.#options.maxMessageBytes,
    );
  }

  /** Output that cannot be handled costs this server its process, and nobody else anything. */
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
    await this.#gone;
  }

  #killSoon(reason: string): void {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    this.#killTimer ??= setTimeout(() => this.#kill(reason), this.#bounds.serverStop);
  }

  #kill(reason: string): void {
    this.#killed ??= reason;
    // Its end is awaited where the exit of the process is.
    void this.#enclosure?.kill(this.#child?.pid);
  }

  #ending(code: number | null, signal: string | null): ProcessExit {
    const how = signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was ended by ${signal}`;
    const words = lastWords(this.stderrTail());
    return {
      code,
      signal,
      expected: this.#stopping !== undefined,
      message: this.#epitaph(how),
      ...(words !== undefined && { detail: `Its last words on stderr: ${words}` }),
    };
  }

  #epitaph(how: string): string {
    const unasked = this.#stopping === undefined ? ' without being asked to' : '';
    const what = this.#killed === undefined ? `${how}${unasked}` : `was killed, because ${this.#killed}`;
    return `The process of "${this.#options.command}" ${what}.`;
  }
}
