// Places for requests that stay open without end: of the connections to a server most are for what comes and goes.
import { MAX_CONNECTIONS } from '../wire/dispatcher.ts';

/** Most of them to one instance, and most of those of one principal. */
const MAX_PLACES = MAX_CONNECTIONS / 2;
const MAX_PER_PRINCIPAL = MAX_PLACES / 4;

export class StandingPlaces {
  /** How many are taken, by instance and principal. */
  private readonly taken = new Map<string, Map<string, number>>();

  /** Returns the way to leave; undefined where none is free. */
  take(instance: string, principal: string): (() => void) | undefined {
    const taken = this.taken.get(instance) ?? new Map<string, number>();
    const own = taken.get(principal) ?? 0;
    const all = [...taken.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MAX_PER_PRINCIPAL || all >= MAX_PLACES) return undefined;
    this.taken.set(instance, taken.set(principal, own + 1));
    return () => this.leave(instance, principal);
  }

  private leave(instance: string, principal: string): void {
    const taken = this.taken.get(instance);
    const left = (taken?.get(principal) ?? 0) - 1;
    if (left > 0) taken?.set(principal, left);
    else taken?.delete(principal);
    if (taken?.size === 0) this.taken.delete(instance);
  }
}
