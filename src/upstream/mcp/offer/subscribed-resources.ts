// Follows the resources of one server: on the instance that everybody shares, or on those of the followers' owners.
import type { CancelSignal } from '../../../core/cancellation.ts';
import type { Isolation } from '../instances/isolation.ts';
import type { OwnedInstances } from '../instances/owned-instances.ts';
import type { SharedInstance } from '../instances/shared-instance.ts';
import type { Following } from './resource-subscriptions.ts';

interface SubscribingParts {
  readonly isolation: Isolation;
  readonly shared: SharedInstance;
  readonly owned: OwnedInstances;
}

export class SubscribedResources {
  private readonly parts: SubscribingParts;

  constructor(parts: SubscribingParts) {
    this.parts = parts;
  }

  /** Notifies the follower of changes to a resource until `unfollow`. Throws GatewayError. */
  follow(following: Following, signal: CancelSignal): Promise<void> {
    const { isolation, shared, owned } = this.parts;
    const owner = isolation.ownerOf(following.follower.caller);
    return owner ? owned.follow(owner, following, signal) : shared.subscriptions.follow(following, shared, signal);
  }

  unfollow(uri: string, key: string): void {
    const { shared, owned } = this.parts;
    shared.subscriptions.remove(uri, key, shared.current);
    owned.pools.unfollow(uri, key);
  }

  /** Removes everything that is followed and returns it, for the upstream that replaces this one. */
  release(): Following[] {
    const { shared, owned } = this.parts;
    return [...shared.subscriptions.release(), ...owned.pools.releaseFollowed()];
  }

  /** Takes over the followers of the upstream that this one replaces. What the server refuses is no longer followed. */
  takeOver(all: readonly Following[]): void {
    const { isolation, shared, owned } = this.parts;
    for (const following of all) {
      // a disabled server only keeps them for the upstream after it
      const owner = shared.isUsable ? isolation.ownerOf(following.follower.caller) : undefined;
      if (owner) owned.adopt(owner, following);
      else shared.subscriptions.adopt(following);
    }
    if (shared.subscriptions.size > 0) shared.wake();
  }
}
