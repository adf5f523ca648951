// Reaches the tasks of a server on the instances that work on them, and on no other.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { unknownTask } from '../../../core/errors.ts';
import { FairShare, type ShareLimits } from '../../../core/fair-share.ts';
import type { InFlight } from '../../../core/in-flight.ts';
import type { ConnectionRequest, UpstreamReply } from '../connect/connection.ts';
import type { Instances } from './instances.ts';

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

/** `standing`: the request stays open without end; `brief`: the gateway gives it up after a moment. */
export type PlaceKind = 'standing' | 'brief';

/** The slots of one instance. */
const LIMITS: Readonly<Record<PlaceKind, ShareLimits>> = {
  standing: { most: BOUNDS.taskStreams, mostOfOne: BOUNDS.taskStreamsOfPrincipal },
  brief: { most: BOUNDS.taskWaits, mostOfOne: BOUNDS.taskWaitsOfPrincipal },
};

/** Slots for requests that stay open, so that most connections to a server stay free for calls. */
export class StreamSlots {
  /** The principals' shares, by instance and kind. */
  private readonly taken = new Map<string, FairShare>();

  /** Returns the function that frees the slot; undefined where none is free. */
  acquire(instance: string, principal: string, kind: PlaceKind): (() => void) | undefined {
    const key = `${kind} ${instance}`;
    const limits = LIMITS[kind];
    const slots = this.taken.get(key) ?? new FairShare(limits);
    if (slots.free < 1 || slots.isFullFor(principal)) return undefined;
    slots.take(principal);
    this.taken.set(key, slots);
    return () => {
      slots.giveBack(principal);
      if (slots.free === limits.most) this.taken.delete(key);
    };
  }
}
