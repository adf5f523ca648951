// Keeps at most one process of a server started for the next owner, so that the owner's first call does not wait for a start.
import { detailOf, forOperator, reasonOf } from '../../../core/errors.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import { backoffMs } from '../connect/backoff.ts';
import { PrewarmedProcess } from '../connect/wires.ts';
import type { Isolation } from './isolation.ts';

export class Prewarmer {
  private readonly server: ConfiguredServer;
  private readonly isolation: Pick<Isolation, 'startsOnDemand'>;
  private held: PrewarmedProcess | undefined;
  private isStarted = false;
  private failures = 0;
  /** Monotonic ms. */
  private retryAt = -Infinity;
  private closing: Promise<unknown> = Promise.resolve();

  constructor(server: ConfiguredServer, isolation: Pick<Isolation, 'startsOnDemand'>) {
    this.server = server;
    this.isolation = isolation;
  }

  /** Processes that count within `instances.max`, from their start on. */
  get size(): 0 | 1 {
    return this.held ? 1 : 0;
  }

  /** Processes that can be taken. */
  get ready(): 0 | 1 {
    return this.isStarted ? 1 : 0;
  }

  /** Whether owners wait for starts of processes. */
  get isWanted(): boolean {
    return this.isolation.startsOnDemand;
  }

  /** Starts a process if one is wanted and there is none; not right after one that ended by itself. Resolves with whether it can be taken. */
  async prepare(): Promise<boolean> {
    if (this.held || !this.isWanted || performance.now() < this.retryAt) return false;
    const { server } = this;
    const held: PrewarmedProcess = new PrewarmedProcess(server, (reason, detail) =>
      this.lose(held, forOperator(reason, detail)),
    );
    this.held = held;
    server.record('spare_started', { instance: held.id, run: server.config.display });
    try {
      await held.wire.start();
      this.isStarted ||= this.held === held;
      return this.held === held;
    } catch (error) {
      this.lose(held, forOperator(reasonOf(error), detailOf(error)));
      return false;
    }
  }

  /** Hands the process over; undefined where none runs. */
  take(): PrewarmedProcess | undefined {
    return this.isStarted ? this.release() : undefined;
  }

  /** A process that was taken has become an instance. */
  succeeded(): void {
    this.failures = 0;
  }

  /** Ends the process, if there is one; resolves when it is gone. */
  async stop(reason: string): Promise<void> {
    const held = this.release();
    if (held) {
      this.recordEnd(held, reason);
      this.closing = Promise.all([this.closing, held.wire.close()]);
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
    this.recordEnd(held, this.server.clean(reason));
  }

  private recordEnd({ id }: PrewarmedProcess, reason: string): void {
    this.server.record('spare_ended', { instance: id, reason });
  }
}
