// What a server offers as it was last read: to everybody from the shared instance, to single owners from theirs.
import { isDeepStrictEqual } from 'node:util';
import { EMPTY_OFFER, type ServerOffer } from '../../../catalog/offer.ts';
import type { StoredOffer } from '../../../catalog/store.ts';
import type { OfferKind } from '../../../core/call.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { Connection } from '../connect/connection.ts';
import type { Instance } from '../instances/instance.ts';
import { OwnerListings } from './owner-listings.ts';
import { readOffer } from './read-offer.ts';

/** Lists that hold for no time at all are read again after so much of it, in ms. */
const LEAST_FRESH_MS = 1_000;

export interface KnownOfferOptions {
  /** What was read in an earlier run. */
  readonly stored: StoredOffer | undefined;
  /** Milliseconds for each page. */
  readonly totalMs: () => number;
  /** Takes secrets out of what the server says. */
  clean(text: string): string;
  /** What everybody is offered is another now. */
  changed(stored: StoredOffer): void;
  /** What one owner is offered is another now. */
  ownChanged(owner: string, kinds: readonly OfferKind[]): void;
}

export class KnownOffer {
  /** Lists that could not be read the last time, and why. */
  problems: readonly string[] = [];
  readonly own: OwnerListings;
  private readonly options: KnownOfferOptions;
  private last: StoredOffer | undefined;
  private staleAt = Infinity;

  constructor(options: KnownOfferOptions) {
    this.options = options;
    this.last = options.stored;
    this.own = new OwnerListings((owner, kinds) => options.ownChanged(owner, kinds));
  }

  /** Absent where nothing was ever read. */
  get stored(): StoredOffer | undefined {
    return this.last;
  }

  get offer(): ServerOffer {
    return this.last?.offer ?? EMPTY_OFFER;
  }

  /** Whether the server may offer something else by now, and would not say so. */
  get isStale(): boolean {
    return performance.now() >= this.staleAt;
  }

  /** Reads the offer; a list that cannot be read keeps its last good entries, and takes down nothing beside itself. Throws GatewayError. */
  async read(connection: Connection): Promise<void> {
    const { totalMs, clean, changed } = this.options;
    this.staleAt = performance.now() + LEAST_FRESH_MS; // one that cannot be read is not tried again with every list
    const { offer, problems, freshMs } = await readOffer(connection, totalMs(), this.last?.offer);
    this.staleAt = performance.now() + Math.max(freshMs, LEAST_FRESH_MS);
    const isNews = !isDeepStrictEqual(offer, this.last?.offer);
    this.last = { fetchedAt: Date.now(), offer };
    this.problems = problems.map(clean);
    this.own.rebase(offer);
    // to name, index and keep an offer costs far more than to compare it, and a server may say at any time that it changed
    if (isNews) changed(this.last);
  }

  /** An instance may come to offer its owner what others are not offered: it is shown to the owner alone. Throws GatewayError. */
  async readOwn(instance: Instance, owner: string): Promise<void> {
    const { offer } = await readOffer(instance.connection, this.options.totalMs(), this.offer);
    if (instance.isLost || this.own.set(owner, offer, this.offer)) return;
    throw new GatewayError(
      'overloaded',
      'what it offers single sessions or principals is too much to be kept; one more of them is offered what everybody is',
    );
  }
}
