// Slots for requests that stay open, so that most connections to a server stay free for calls.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { FairShare, type ShareLimits } from '../../../core/fair-share.ts';

/** `standing`: the request stays open without end; `brief`: the gateway gives it up after a moment. */
export type PlaceKind = 'standing' | 'brief';

/** The slots of one instance. */
const LIMITS: Readonly<Record<PlaceKind, ShareLimits>> = {
  standing: { most: BOUNDS.taskStreams, mostOfOne: BOUNDS.taskStreamsOfPrincipal },
  brief: { most: BOUNDS.taskWaits, mostOfOne: BOUNDS.taskWaitsOfPrincipal },
};

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
