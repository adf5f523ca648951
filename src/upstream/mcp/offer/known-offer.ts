// What a server offers as it was last read: to everybody from the shared instance, to single owners from theirs.
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { EMPTY_OFFER, type ServerOffer } from '../../../catalog/offer.ts';
import type { StoredOffer } from '../../../catalog/store.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { Connection } from '../connect/connection.ts';
import type { Owner } from '../instances/affinity.ts';
import type { Instance } from '../instances/instance.ts';
import type { EraUse } from '../instances/shared-instance.ts';
import type { SpokenEra } from '../spoken-era.ts';
import { differingKinds, OwnerListings, type OwnerOffer } from './owner-listings.ts';
import { readOffer } from './read-offer.ts';

export class KnownOffer {
  /** The lists that could not be read the last time, and why. */
  problems: readonly string[] = [];
  private readonly server: ConfiguredServer;
  private readonly spoken: SpokenEra;
  private readonly use: Pick<EraUse, 'offerBefore'>;
  private readonly listings: OwnerListings;
  private last: StoredOffer | undefined;
  private hashed: { readonly of: StoredOffer; readonly digest: string } | undefined;
  private staleAt = Infinity;
  private freshening: Promise<void> | undefined;

  constructor(server: ConfiguredServer, spoken: SpokenEra, use: Pick<EraUse, 'offerBefore'>) {
    this.server = server;
    this.spoken = spoken;
    this.use = use;
    this.last = server.isUsable ? stored(server, spoken) : undefined;
    this.listings = new OwnerListings(server.name, server.context.offers);
  }

  /** Absent if nothing was ever read. */
  get stored(): StoredOffer | undefined {
    return this.last;
  }

  get offer(): ServerOffer {
    return this.last?.offer ?? EMPTY_OFFER;
  }

  /** The same for offers that make the same catalog; undefined if nothing was ever read. */
  get digest(): string | undefined {
    if (this.last && this.hashed?.of !== this.last) this.hashed = { of: this.last, digest: digestOf(this.last.offer) };
    return this.last && this.hashed?.digest;
  }

  /** Whether any owner is offered something else than everybody. */
  get differsByOwner(): boolean {
    return this.listings.size > 0;
  }

  /** What an owner is offered, if that differs from what everybody is offered. */
  ofOwner(owner: Owner | undefined): OwnerOffer | undefined {
    return owner && this.listings.get(owner.key);
  }

  /** Reads the offer; a list that cannot be read keeps its last good entries, and the others are read all the same. Throws GatewayError. */
  async read(connection: Connection): Promise<void> {
    const { config, context } = this.server;
    this.staleAt = performance.now() + BOUNDS.offerFresh; // an offer that cannot be read is not read again with every list
    const { offer, problems, freshMs } = await readOffer(connection, config.timeouts.total, this.last?.offer);
    this.staleAt = performance.now() + Math.max(freshMs, BOUNDS.offerFresh);
    const isNews = !isSame(offer, this.last?.offer);
    const before = this.last?.offer ?? this.use.offerBefore();
    this.last = { fetchedAt: Date.now(), offer };
    this.problems = problems.map((problem) => this.server.clean(problem));
    this.listings.rebase(offer);
    // an equal offer is not named and indexed again, which costs far more than to compare it: a server may send `list_changed` at any time
    if (isNews) context.offers.offerChanged(this.spoken.key, this.last, differingKinds(before, offer));
  }

  /** Reads the offer again if it may have changed without a notification; undefined if there is nothing to read. Never throws. */
  freshen(instance: Instance | undefined, now: number): Promise<void> | undefined {
    if (this.freshening || !instance || now < this.staleAt) return this.freshening;
    this.freshening = this.refresh(instance).finally(() => (this.freshening = undefined));
    return this.freshening;
  }

  /** Reads an instance's offer again; the last good one stays if that fails. Never throws. */
  async refresh(instance: Instance): Promise<void> {
    try {
      if (instance.owner) await this.readForOwner(instance, instance.owner.key);
      else await this.read(instance.connection);
    } catch (error) {
      const { server } = this;
      server.errors.record(`Its lists changed, but reading them failed: ${server.clean(reasonOf(error))}`);
      instance.dropIfUnprocessed(error);
    }
  }

  /** The owner has no instance any more, and is offered what everybody is. */
  forgetOwner(owner: string): void {
    this.listings.forget(owner, this.offer);
  }

  /** An instance may begin to offer its owner something else; only the owner sees that. Throws GatewayError. */
  private async readForOwner(instance: Instance, owner: string): Promise<void> {
    const { offer } = await readOffer(instance.connection, this.server.config.timeouts.total, this.offer);
    if (instance.isLost || this.listings.set(owner, offer, this.offer)) return;
    throw new GatewayError(
      'overloaded',
      'what it offers single sessions or principals is too much to be kept; one more of them is offered what everybody is',
    );
  }
}

function stored({ context }: ConfiguredServer, { keys }: SpokenEra): StoredOffer | undefined {
  for (const key of keys) {
    const offer = context.catalog.offer(key);
    if (offer) return offer;
  }
  return undefined;
}

/** Catalogs are made of the entries, of whether they are private, and of whether the server runs tasks. */
function digestOf({ entries, private: isPrivate, capabilities: { tasks } }: ServerOffer): string {
  return hash('sha256', JSON.stringify([entries, isPrivate, tasks]), 'base64');
}

/** The order of members does not matter. */
function isSame(offer: ServerOffer, last: ServerOffer | undefined): boolean {
  // most servers send an unchanged offer in the same order, and to compare texts takes a fraction of the time
  return JSON.stringify(offer) === JSON.stringify(last) || isDeepStrictEqual(offer, last);
}
