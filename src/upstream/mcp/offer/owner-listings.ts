// What the instances of single owners offer, where they announced something else than everybody is offered.
import { hash } from 'node:crypto';
import type { ServerOffer } from '../../../catalog/offer.ts';
import { OFFER_KINDS, type OfferKind } from '../../../core/call.ts';

/** What the different offers of one server come to, as JSON, in characters: the largest that is read fits in. */
const MAX_LENGTH = 40 * 1024 * 1024;

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

/** Keeps them by owner, for as long as the owner has an instance, and only where they differ; what is the same for many is kept once. */
export class OwnerListings {
  private readonly offers = new Map<string, SharedOffer>();
  private readonly shared = new Map<string, SharedOffer>();
  private readonly changed: (owner: string, kinds: readonly OfferKind[]) => void;
  private readonly most: number;
  private length = 0;

  /** `changed` is told which lists of an owner are others now; `most` characters of JSON are kept. */
  constructor(changed: (owner: string, kinds: readonly OfferKind[]) => void, most = MAX_LENGTH) {
    this.changed = changed;
    this.most = most;
  }

  get size(): number {
    return this.offers.size;
  }

  get(owner: string): OwnerOffer | undefined {
    return this.offers.get(owner);
  }

  /**
   * An owner's instance offers this, everybody is offered `base`. Returns false where there is no room for it: then the owner is offered
   * what everybody is.
   */
  set(owner: string, offer: ServerOffer, base: ServerOffer): boolean {
    const before = this.offers.get(owner)?.offer ?? base;
    this.remove(owner);
    const kept = differing(offer, base).length === 0 || this.keep(owner, offer);
    const kinds = differing(before, kept ? offer : base);
    if (kinds.length > 0) this.changed(owner, kinds);
    return kept;
  }

  /** The owner has no instance any more. */
  forget(owner: string, base: ServerOffer): void {
    const before = this.remove(owner);
    if (before) this.changed(owner, differing(before.offer, base));
  }

  /** Everybody is offered `base` now: what came to be the same is no longer anybody's own. */
  rebase(base: ServerOffer): void {
    const same = [...this.shared.values()].filter(({ offer }) => differing(offer, base).length === 0);
    if (same.length === 0) return;
    for (const [owner, offer] of this.offers)
      if (same.includes(offer)) {
        this.remove(owner);
        this.changed(owner, []);
      }
  }

  private keep(owner: string, offer: ServerOffer): boolean {
    const text = JSON.stringify(offer);
    const digest = hash('sha256', text, 'base64');
    let shared = this.shared.get(digest);
    if (!shared) {
      if (this.length + text.length > this.most) return false;
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

function differing(one: ServerOffer, other: ServerOffer): OfferKind[] {
  return OFFER_KINDS.filter((kind) => JSON.stringify(one.entries[kind]) !== JSON.stringify(other.entries[kind]));
}
