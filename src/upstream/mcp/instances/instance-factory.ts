// Every start of a server: what it is called, what is read of it before it counts as started, and what is recorded of it.
import type { ServerConfig } from '../../../config/config.ts';
import type { Era } from '../../../core/call.ts';
import { detailOf, forOperator, reasonOf } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Connection } from '../connect/connection.ts';
import type { UpstreamContext } from '../context.ts';
import type { PrewarmedProcess } from '../connect/prewarmed-process.ts';
import type { Wire } from '../wire/wire.ts';
import type { Owner } from './affinity.ts';
import { Instance, type InstanceHandlers } from './instance.ts';
import type { RecentErrors } from './recent-errors.ts';

export interface InstanceFactoryOptions {
  readonly config: () => ServerConfig;
  readonly context: UpstreamContext;
  readonly on: InstanceHandlers;
  readonly errors: RecentErrors;
  /** Starts of the shared instance that failed in a row. */
  readonly failures: () => number;
  /** What must have succeeded before the shared instance counts as started. */
  readonly ready: (connection: Connection) => Promise<void>;
  /** The shared instance has a process or a socket to look at. */
  readonly onWire: (wire: Wire) => void;
  /** Told what each handshake found. */
  readonly connected: (wire: Wire, era: Era) => void;
  clean(text: string): string;
}

/** What is opened: for an owner or for everybody, with a process that waits for it or with a new one. */
export interface Opening {
  readonly owner?: Owner;
  readonly spare?: PrewarmedProcess | undefined;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}

export class InstanceFactory {
  private readonly options: InstanceFactoryOptions;

  constructor(options: InstanceFactoryOptions) {
    this.options = options;
  }

  nextId(): string {
    return this.options.context.nextInstance(this.options.config().name);
  }

  /** Throws GatewayError. */
  async open({ owner, spare, signal }: Opening): Promise<Instance> {
    const { context, on, errors, clean, connected } = this.options;
    const server = this.options.config();
    const id = spare?.id ?? this.nextId();
    const failures = owner ? 0 : this.options.failures();
    try {
      const instance = await Instance.open({
        id,
        server,
        owner,
        context,
        on,
        signal,
        failures,
        spare,
        clean,
        // a process is an event each time; a URL that is tried again and again is one
        announced: server.transport === 'stdio' || failures === 0,
        ...(!owner && { ready: this.options.ready, onWire: this.options.onWire }),
      });
      const { wire, era } = instance.connection;
      connected(wire, era);
      return instance;
    } catch (error) {
      const reason = reasonOf(error);
      const failed: JsonObject = { server: server.name, instance: id, reason: forOperator(reason, detailOf(error)) };
      // the same failure at every attempt is one piece of news
      if (!signal.aborted && (owner || reason !== errors.last?.message)) on.event('server_failed', failed);
      throw error;
    }
  }
}
