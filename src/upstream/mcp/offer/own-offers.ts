// What the instances of single owners offer, where they announced something else than everybody is offered.
import type { ServerOffer } from '../../../catalog/offer.ts';
import type { OfferKind } from '../../../core/call.ts';

const KINDS: readonly OfferKind[] = ['tool', 'prompt', 'resource', 'resourceTemplate'];

/** Keeps them by owner, for as long as the owner has an instance, and only where they differ. */
export class OwnOffers {
  private readonly offers = new Map<string, ServerOffer>();
  private readonly changed: (owner: string, kinds: readonly OfferKind[]) => void;

  /** `changed` is told which lists of an owner are others now. */
  constructor(changed: (owner: string, kinds: readonly OfferKind[]) => void) {
    this.changed = changed;
  }

  get size(): number {
    return this.offers.size;
  }

  get(owner: string): ServerOffer | undefined {
    return this.offers.get(owner);
  }

  /** An owner's instance offers this, everybody is offered `base`. */
  set(owner: string, offer: ServerOffer, base: ServerOffer): void {
    const before = this.offers.get(owner) ?? base;
    if (differing(offer, base).length > 0) this.offers.set(owner, offer);
    else this.offers.delete(owner);
    const kinds = differing(before, offer);
    if (kinds.length > 0) this.changed(owner, kinds);
  }

  /** The owner has no instance any more. */
  forget(owner: string, base: ServerOffer): void {
    const before = this.offers.get(owner);
    if (!before) return;
    this.offers.delete(owner);
    this.changed(owner, differing(before, base));
  }

  /** Everybody is offered `base` now: what came to be the same is no longer anybody's own. */
  rebase(base: ServerOffer): void {
    for (const [owner, offer] of this.offers)
      if (differing(offer, base).length === 0) {
        this.offers.delete(owner);
        this.changed(owner, []);
      }
  }
}

function differing(one: ServerOffer, other: ServerOffer): OfferKind[] {
  return KINDS.filter((kind) => JSON.stringify(one.entries[kind]) !== JSON.stringify(other.entries[kind]));
}
