// Slots for requests that stay open, so that most connections to a server stay free for calls.
import { MAX_CONNECTIONS } from '../wire/dispatcher.ts';

/** `standing`: the request stays open without end; `brief`: the gateway gives it up after a moment. */
export type PlaceKind = 'standing' | 'brief';

/** Most slots of a kind at one instance. One principal takes a quarter of them at most. */
const MAX_SLOTS = { standing: MAX_CONNECTIONS / 2, brief: MAX_CONNECTIONS / 8 };
const SHARE = 4;

export class StreamSlots {
  /** Slots that are taken: by instance and kind, then by principal. */
  private readonly taken = new Map<string, Map<string, number>>();

  /** Returns the function that frees the slot; undefined where none is free. */
  acquire(instance: string, principal: string, kind: PlaceKind): (() => void) | undefined {
    const key = `${kind} ${instance}`;
    const taken = this.taken.get(key) ?? new Map<string, number>();
    const own = taken.get(principal) ?? 0;
    const all = [...taken.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MAX_SLOTS[kind] / SHARE || all >= MAX_SLOTS[kind]) return undefined;
    this.taken.set(key, taken.set(principal, own + 1));
    return () => this.free(key, principal);
  }

  private free(key: string, principal: string): void {
    const taken = this.taken.get(key);
    const left = (taken?.get(principal) ?? 0) - 1;
    if (left > 0) taken?.set(principal, left);
    else taken?.delete(principal);
    if (taken?.size === 0) this.taken.delete(key);
  }
}
