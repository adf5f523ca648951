// Places for requests that stay open: of the connections to a server most are for what comes and goes.
import { MAX_CONNECTIONS } from '../wire/dispatcher.ts';

/** `standing` is a request that stays open without end; `brief` is one that is given up after a moment. */
export type PlaceKind = 'standing' | 'brief';

/** Most of a kind to one instance. Those of one principal are a quarter of them. */
const MAX_PLACES = { standing: MAX_CONNECTIONS / 2, brief: MAX_CONNECTIONS / 8 };
const SHARE = 4;

export class StreamSlots {
  /** How many are taken, by instance and kind, and by principal. */
  private readonly taken = new Map<string, Map<string, number>>();

  /** Returns the way to leave; undefined where none is free. */
  acquire(instance: string, principal: string, kind: PlaceKind): (() => void) | undefined {
    const key = `${kind} ${instance}`;
    const taken = this.taken.get(key) ?? new Map<string, number>();
    const own = taken.get(principal) ?? 0;
    const all = [...taken.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MAX_PLACES[kind] / SHARE || all >= MAX_PLACES[kind]) return undefined;
    this.taken.set(key, taken.set(principal, own + 1));
    return () => this.leave(key, principal);
  }

  private leave(key: string, principal: string): void {
    const taken = this.taken.get(key);
    const left = (taken?.get(principal) ?? 0) - 1;
    if (left > 0) taken?.set(principal, left);
    else taken?.delete(principal);
    if (taken?.size === 0) this.taken.delete(key);
  }
}
