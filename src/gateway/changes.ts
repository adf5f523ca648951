// Announces changes of lists to the clients that listen for them; several changes in a short time are one.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { OfferKind } from '../core/call.ts';

export interface ChangeListener {
  /** The lists of these kinds changed at this server. */
  listsChanged(server: string, kinds: ReadonlySet<OfferKind>): void;
}

/** Changes that are not announced yet. */
interface PendingChange {
  readonly server: string;
  readonly owner: string | undefined;
  readonly kinds: Set<OfferKind>;
}

/** A change that the instance of one owner announces goes to the listeners of that owner alone (docs/instances.md). */
export class Changes {
  private readonly listeners = new Map<ChangeListener, ReadonlySet<string>>();
  private readonly pending = new Map<string, PendingChange>();
  private timer: NodeJS.Timeout | undefined;

  /** `owners`: the keys under which the listener can own instances. Returns how to unsubscribe. */
  subscribe(listener: ChangeListener, owners: ReadonlySet<string>): () => void {
    this.flush(); // what others still wait to hear is older than this listener
    this.listeners.set(listener, owners);
    return () => this.listeners.delete(listener);
  }

  listsChanged(server: string, kinds: Iterable<OfferKind>, owner?: string): void {
    const key = `${server}\n${owner ?? ''}`;
    const change = this.pending.get(key) ?? { server, owner, kinds: new Set() };
    for (const kind of kinds) change.kinds.add(kind);
    if (change.kinds.size === 0) return;
    this.pending.set(key, change);
    this.timer ??= setTimeout(() => this.flush(), BOUNDS.listChangeGathering).unref();
  }

  close(): void {
    clearTimeout(this.timer);
    this.listeners.clear();
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const changes = [...this.pending.values()];
    this.pending.clear();
    for (const { server, kinds, owner } of changes)
      for (const [listener, owners] of [...this.listeners])
        if (owner === undefined || owners.has(owner)) listener.listsChanged(server, kinds);
  }
}
