// Slots for requests that stay open, so that most connections to a server stay free for calls.
import { FairShare } from '../../../core/fair-share.ts';
import { MAX_CONNECTIONS } from '../wire/dispatcher.ts';

/** `standing`: the request stays open without end; `brief`: the gateway gives it up after a moment. */
export type PlaceKind = 'standing' | 'brief';

/** Most slots of a kind at one instance. One principal takes a quarter of them at most. */
const MAX_SLOTS = { standing: MAX_CONNECTIONS / 2, brief: MAX_CONNECTIONS / 8 };
const SHARE = 4;

export class StreamSlots {
  /** The principals' shares, by instance and kind. */
  private readonly taken = new Map<string, FairShare>();

  /** Returns the function that frees the slot; undefined where none is free. */
  acquire(instance: string, principal: string, kind: PlaceKind): (() => void) | undefined {
    const key = `${kind} ${instance}`;
    const most = MAX_SLOTS[kind];
    const slots = this.taken.get(key) ?? new FairShare({ most, mostOfOne: most / SHARE });
    if (slots.free < 1 || slots.isFullFor(principal)) return undefined;
    slots.take(principal);
    this.taken.set(key, slots);
    return () => {
      slots.giveBack(principal);
      if (slots.free === most) this.taken.delete(key);
    };
  }
}
