// Reaches the tasks of a server on the instances that work on them, and on no other.
import { unknownTask } from '../../../core/errors.ts';
import type { InFlight } from '../../../core/in-flight.ts';
import type { ConnectionRequest, UpstreamReply } from '../connect/connection.ts';
import type { Instances } from './instances.ts';
import { type PlaceKind, StreamSlots } from './stream-slots.ts';

export class TaskInstances {
  private readonly instances: Pick<Instances, 'find'>;
  private readonly inFlight: InFlight;
  private readonly slots = new StreamSlots();

  constructor(instances: Pick<Instances, 'find'>, inFlight: InFlight) {
    this.instances = instances;
    this.inFlight = inFlight;
  }

  /** Whether the instance with this id is in use. */
  isLive(id: string): boolean {
    return this.instances.find(id) !== undefined;
  }

  /** Sends a request about a task, once. Throws GatewayError: `unknown_task` if the instance is gone. */
  async request(id: string, request: ConnectionRequest): Promise<UpstreamReply> {
    const instance = this.instances.find(id);
    if (!instance) throw unknownTask();
    const { connection } = instance;
    return this.inFlight.track(instance.requestForTask(request).then((reply) => ({ connection, reply })));
  }

  /** Takes a slot for a request of a principal that stays open. Returns the function that frees it; undefined where none is free. */
  stand(id: string, principal: string, kind: PlaceKind = 'standing'): (() => void) | undefined {
    const transport = this.instances.find(id)?.connection.wire.transport;
    // on these transports an open request takes no connection
    if (transport === 'stdio' || transport === 'sse') return () => undefined;
    return this.slots.acquire(id, principal, kind);
  }

  /** Keeps an instance running for so many milliseconds. */
  needFor(id: string, ms: number): void {
    this.instances.find(id)?.needFor(ms);
  }

  /** Keeps an instance running for a task that it works on, until the function that this returns is called. */
  hold(id: string): () => void {
    return this.instances.find(id)?.holdForTask() ?? (() => undefined);
  }
}
