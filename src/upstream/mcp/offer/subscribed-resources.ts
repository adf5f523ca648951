// The resources of one server that are followed: on the instance that everybody shares, or on those of their owners.
import type { CancelSignal } from '../../../core/cancellation.ts';
import type { CallerFacts, Owner } from '../instances/affinity.ts';
import type { Instance } from '../instances/instance.ts';
import type { OwnedInstances } from '../instances/owned-instances.ts';
import type { SharedInstance } from '../instances/shared-instance.ts';
import { type Follower, type Following, ResourceSubscriptions } from './resource-subscriptions.ts';

export interface FollowedOptions {
  readonly server: string;
  /** How long a subscription may take, in ms. */
  readonly totalMs: number;
  readonly shared: () => SharedInstance;
  readonly owned: () => OwnedInstances;
  ownerOf(caller: CallerFacts): Owner | undefined;
}

export class SubscribedResources {
  private readonly options: FollowedOptions;
  /** What is followed on the shared instance. */
  private readonly subscriptions: ResourceSubscriptions;

  constructor(options: FollowedOptions) {
    this.options = options;
    this.subscriptions = new ResourceSubscriptions(options.server, options.totalMs);
  }

  /** Whether anything is followed on the shared instance. */
  get needsShared(): boolean {
    return this.subscriptions.size > 0;
  }

  /** Tells the follower of changes to a resource for as long as it follows. Throws GatewayError. */
  follow(following: Following, signal: CancelSignal): Promise<void> {
    const { ownerOf, shared, owned } = this.options;
    const owner = ownerOf(following.follower.caller);
    return owner ? owned().follow(owner, following, signal) : this.subscriptions.follow(following, shared(), signal);
  }

  unfollow(uri: string, key: string): void {
    const { shared, owned } = this.options;
    this.subscriptions.remove(uri, key, shared().current);
    owned().unfollow(uri, key);
  }

  /** Subscribes anew on a new shared instance. Never throws. */
  resume(instance: Instance): Promise<void> {
    return this.subscriptions.resume(instance);
  }

  /** An instance says that a resource changed: what an owner's says is for that owner alone (design, Instances and affinity). */
  updated(uri: string, owner: Owner | undefined): void {
    const shared = this.subscriptions.followersOf(uri);
    for (const follower of owner ? this.ofOwner(owner, uri, shared) : shared) follower.updated(uri);
  }

  /** Gives everything away that is followed, for the server that comes instead. */
  release(): Following[] {
    return [...this.subscriptions.release(), ...this.options.owned().releaseFollowed()];
  }

  /** Goes on with what was followed at the server that this one replaces. What it refuses is no longer followed. */
  takeOver(all: readonly Following[]): void {
    const { ownerOf, shared, owned } = this.options;
    for (const following of all) {
      // at one that is disabled it only stands, for whatever comes after
      const owner = shared().isUsable ? ownerOf(following.follower.caller) : undefined;
      if (owner) owned().adopt(owner, following);
      else this.subscriptions.adopt(following);
    }
    if (this.needsShared) shared().wake();
  }

  /** The owner's followers, also those who began to follow while everybody shared one instance. */
  private ofOwner(owner: Owner, uri: string, shared: Iterable<Follower>): Iterable<Follower> {
    const { ownerOf, owned } = this.options;
    const own = owned().followersOf(owner, uri);
    const were = [...shared].filter(({ caller }) => ownerOf(caller)?.key === owner.key);
    return new Map([...were, ...own].map((follower) => [follower.key, follower])).values();
  }
}
