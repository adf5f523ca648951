// What single owners are offered, if their instances offer something else than the shared instance offers everybody.
import { hash } from 'node:crypto';
import type { ServerOffer } from '../../../catalog/offer.ts';
import { type Bounds, BOUNDS } from '../../../core/bounds/bounds.ts';
import { OFFER_KINDS, type OfferKind } from '../../../core/call.ts';
import type { OwnerOfferListener } from '../context.ts';

/** What one owner is offered. */
export interface OwnerOffer {
  readonly offer: ServerOffer;
  /** The same for owners who are offered the same. */
  readonly digest: string;
}

interface SharedOffer extends OwnerOffer {
  readonly length: number;
  owners: number;
}

/** Keeps an offer by owner while the owner has an instance and the offer differs. Equal offers of several owners are kept once. */
export class OwnerListings {
  private readonly offers = new Map<string, SharedOffer>();
  private readonly shared = new Map<string, SharedOffer>();
  private readonly server: string;
  private readonly listener: OwnerOfferListener;
  private readonly bounds: Bounds;
  private length = 0;

  constructor(server: string, listener: OwnerOfferListener, bounds = BOUNDS) {
    this.server = server;
    this.listener = listener;
    this.bounds = bounds;
  }

  get size(): number {
    return this.offers.size;
  }

  get(owner: string): OwnerOffer | undefined {
    return this.offers.get(owner);
  }

  /** An owner's instance offers `offer`, the shared one `base`. Returns false if there is no room: then the owner is offered `base` too. */
  set(owner: string, offer: ServerOffer, base: ServerOffer): boolean {
    const before = this.offers.get(owner)?.offer ?? base;
    this.remove(owner);
    const kept = differingKinds(offer, base).length === 0 || this.keep(owner, offer);
    const kinds = differingKinds(before, kept ? offer : base);
    if (kinds.length > 0) this.notify(owner, kinds);
    return kept;
  }

  /** The owner has no instance any more. */
  forget(owner: string, base: ServerOffer): void {
    const before = this.remove(owner);
    if (before) this.notify(owner, differingKinds(before.offer, base));
  }

  /** The shared instance offers `base` now: an owner's offer that equals it is no longer kept. */
  rebase(base: ServerOffer): void {
    const same = [...this.shared.values()].filter(({ offer }) => differingKinds(offer, base).length === 0);
    if (same.length === 0) return;
    for (const [owner, offer] of this.offers)
      if (same.includes(offer)) {
        this.remove(owner);
        this.notify(owner, []);
      }
  }

  private notify(owner: string, kinds: readonly OfferKind[]): void {
    this.listener.ownerOfferChanged(this.server, owner, kinds);
  }

  private keep(owner: string, offer: ServerOffer): boolean {
    const text = JSON.stringify(offer);
    const digest = hash('sha256', text, 'base64');
    let shared = this.shared.get(digest);
    if (!shared) {
      if (this.length + text.length > this.bounds.ownerOffers) return false;
      shared = { offer, digest, length: text.length, owners: 0 };
      this.shared.set(digest, shared);
      this.length += shared.length;
    }
    shared.owners++;
    this.offers.set(owner, shared);
    return true;
  }

  private remove(owner: string): SharedOffer | undefined {
    const shared = this.offers.get(owner);
    if (!shared) return undefined;
    this.offers.delete(owner);
    if (--shared.owners === 0) {
      this.shared.delete(shared.digest);
      this.length -= shared.length;
    }
    return shared;
  }
}

/** The kinds of entries that differ between two offers. */
export function differingKinds(one: ServerOffer, other: ServerOffer): OfferKind[] {
  return OFFER_KINDS.filter((kind) => JSON.stringify(one.entries[kind]) !== JSON.stringify(other.entries[kind]));
}
