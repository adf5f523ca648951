// The instances of a server as its tasks know them: each task is reached on the one that works on it, and on no other.
import { unknownTask } from '../../../core/errors.ts';
import type { InFlight } from '../../../core/in-flight.ts';
import type { Connection, ConnectionRequest } from '../connect/connection.ts';
import type { WireReply } from '../wire/wire.ts';
import type { Instance } from './instance.ts';
import { type PlaceKind, StreamSlots } from './stream-slots.ts';

export class TaskInstances {
  private readonly find: (id: string) => Instance | undefined;
  private readonly inFlight: InFlight;
  private readonly standing = new StreamSlots();

  /** `find` gives an instance that lives, by its id. */
  constructor(find: (id: string) => Instance | undefined, inFlight: InFlight) {
    this.find = find;
    this.inFlight = inFlight;
  }

  /** Whether an instance lives, by its id. */
  isLive(id: string): boolean {
    return this.find(id) !== undefined;
  }

  /** Sends a request about a task, once. Throws GatewayError: `unknown_task` where the instance is gone. */
  async request(id: string, request: ConnectionRequest): Promise<{ reply: WireReply; connection: Connection }> {
    const instance = this.find(id);
    if (!instance) throw unknownTask();
    const { connection } = instance;
    return this.inFlight.track(instance.requestForTask(request).then((reply) => ({ connection, reply })));
  }

  /**
   * Takes a place among the requests to an instance that stay open, for a principal. Returns the way to leave it;
   * undefined where none is free.
   */
  stand(id: string, principal: string, kind: PlaceKind = 'standing'): (() => void) | undefined {
    const transport = this.find(id)?.connection.wire.transport;
    // a pipe, and a stream that everything comes back on, have room for any number
    if (transport === 'stdio' || transport === 'sse') return () => undefined;
    return this.standing.acquire(id, principal, kind);
  }

  /** Keeps an instance running for so many milliseconds. */
  needFor(id: string, ms: number): void {
    this.find(id)?.needFor(ms);
  }

  /** Keeps an instance running for a task that it works on. Returns the way to let go of it. */
  hold(id: string): () => void {
    return this.find(id)?.holdForTask() ?? (() => undefined);
  }
}
