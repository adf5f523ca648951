// Opens the instances of a server, records how that went, and knows every instance until its process or connection has ended.
import { detailOf, forOperator, reasonOf } from '../../../core/errors.ts';
import type { PrewarmedProcess } from '../connect/wires.ts';
import type { Owner } from './affinity.ts';
import type { Instance, InstanceParts, InstancePool } from './instance.ts';
import { openInstance } from './open-instance.ts';

/** An instance that is to be opened. */
export interface Opening {
  readonly pool: InstancePool;
  /** Absent where everybody shares the instance. */
  readonly owner?: Owner;
  /** A process to use in place of a new one. */
  readonly prewarmed?: PrewarmedProcess | undefined;
  /** Starts of the shared instance that failed in a row. */
  readonly failures?: number;
  /** Aborted when nobody waits for the instance any more. */
  readonly signal: AbortSignal;
}

export class Instances {
  private readonly parts: InstanceParts;
  private readonly all = new Set<Instance>();

  constructor(parts: InstanceParts) {
    this.parts = parts;
  }

  /** Throws GatewayError. */
  async open({ pool, owner, prewarmed, failures = 0, signal }: Opening): Promise<Instance> {
    const { server, isolation } = this.parts;
    const id = prewarmed?.id ?? server.nextInstanceId();
    // each start of a process is recorded; of a URL that is tried again and again only the first attempt is
    const isRecorded = server.config.transport === 'stdio' || failures === 0;
    try {
      const instance = await openInstance(this.parts, { id, pool, owner, failures, prewarmed, signal, isRecorded });
      this.all.add(instance);
      void instance.ended.finally(() => this.all.delete(instance));
      const { wire, era } = instance.connection;
      isolation.connected({ transport: wire.transport, era, stateful: wire.stateful });
      return instance;
    } catch (error) {
      const reason = reasonOf(error);
      // a shared instance that fails for the same reason again and again is recorded once
      if (!signal.aborted && (owner || reason !== server.errors.last?.message))
        server.record('server_failed', { instance: id, reason: forOperator(reason, detailOf(error)) });
      throw error;
    }
  }

  /** The instance with this id, if it is in use. */
  find(id: string): Instance | undefined {
    for (const instance of this.all) if (instance.id === id && !instance.isLost) return instance;
    return undefined;
  }

  /** Closes what instances that are out of use still hold open; resolves when all of them have ended. */
  async close(): Promise<void> {
    const lost = [...this.all].filter(({ isLost }) => isLost);
    await Promise.all(lost.map(({ connection }) => connection.wire.close()));
    await Promise.all(lost.map(({ ended }) => ended));
  }
}
