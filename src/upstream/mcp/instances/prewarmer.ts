// At most one process of a server that is started ahead of the next owner, so that its first call does not wait for a start.
import type { ServerConfig } from '../../../config/config.ts';
import { detailOf, forOperator, reasonOf } from '../../../core/errors.ts';
import { backoffMs } from '../connect/backoff.ts';
import { PrewarmedProcess } from '../connect/prewarmed-process.ts';
import type { StdioContext } from '../connect/stdio.ts';
import type { InstanceHandlers } from './instance.ts';

export interface PrewarmerOptions {
  readonly server: () => ServerConfig;
  readonly context: StdioContext;
  readonly on: Pick<InstanceHandlers, 'event' | 'noise'>;
  /** Whether owners get processes of their own, one after the other. */
  readonly wanted: () => boolean;
  /** `NAME#N` of the next start. */
  readonly nextId: () => string;
  /** Takes secrets out of what the server says. */
  readonly clean: (text: string) => string;
}

/** It is greeted only when an owner takes it, with what that owner declares. */
export class Prewarmer {
  private readonly options: PrewarmerOptions;
  /** There is one to be taken. */
  private readonly onReady: () => void;
  private held: PrewarmedProcess | undefined;
  private isStarted = false;
  private failures = 0;
  /** Monotonic ms. */
  private retryAt = -Infinity;
  private closing: Promise<unknown> = Promise.resolve();

  constructor(options: PrewarmerOptions, onReady: () => void) {
    this.options = options;
    this.onReady = onReady;
  }

  /** Places that it takes: it counts from its start on. */
  get size(): 0 | 1 {
    return this.held ? 1 : 0;
  }

  /** Processes that can be taken. */
  get ready(): 0 | 1 {
    return this.isStarted ? 1 : 0;
  }

  get isWanted(): boolean {
    return this.options.wanted();
  }

  /** Starts one if it is wanted and there is none; not right after one that ended by itself. */
  prepare(): void {
    if (this.held || !this.isWanted || performance.now() < this.retryAt) return;
    const { server, context, on, nextId } = this.options;
    const held = new PrewarmedProcess({
      id: nextId(),
      server: server(),
      context,
      ended: (reason, detail) => this.lose(held, forOperator(reason, detail)),
      noise: on.noise,
    });
    this.held = held;
    on.event('spare_started', { server: server().name, instance: held.id, run: server().display });
    held.start().then(
      () => {
        if (this.held !== held) return;
        this.isStarted = true;
        this.onReady();
      },
      (error: unknown) => this.lose(held, forOperator(reasonOf(error), detailOf(error))),
    );
  }

  /** The process, from now on the caller's; undefined where none runs. */
  take(): PrewarmedProcess | undefined {
    return this.isStarted ? this.release() : undefined;
  }

  /** One that was taken has become an instance. */
  succeeded(): void {
    this.failures = 0;
  }

  /** Ends the process, if there is one; resolves when it is gone. */
  async stop(reason: string): Promise<void> {
    const held = this.release();
    if (held) {
      this.tellEnd(held, reason);
      this.closing = Promise.all([this.closing, held.close()]);
    }
    await this.closing;
  }

  /** Ends the process and starts no other. */
  close(): Promise<void> {
    this.retryAt = Infinity;
    return this.stop('the server is being stopped');
  }

  private release(): PrewarmedProcess | undefined {
    const { held } = this;
    this.held = undefined;
    this.isStarted = false;
    return held;
  }

  private lose(held: PrewarmedProcess, reason: string): void {
    if (this.held !== held) return;
    this.release();
    this.retryAt = performance.now() + backoffMs(++this.failures);
    this.tellEnd(held, this.options.clean(reason));
  }

  private tellEnd({ id }: PrewarmedProcess, reason: string): void {
    const { on, server } = this.options;
    on.event('spare_ended', { server: server().name, instance: id, reason });
  }
}
