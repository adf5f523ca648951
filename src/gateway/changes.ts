// News of the offer: who wants to hear that lists changed, and bursts made into one.
import type { OfferKind } from '../core/call.ts';

/** Changes of lists within this time are told once. */
const COALESCE_MS = 25;

export interface ChangeListener {
  /** The lists of these kinds changed at this server. */
  listsChanged(server: string, kinds: ReadonlySet<OfferKind>): void;
}

interface Waiting {
  readonly server: string;
  readonly owner: string | undefined;
  readonly kinds: Set<OfferKind>;
}

/**
 * Tells listeners; a listener that joins later hears only of later changes. What an owner's instance announces is told to that owner
 * alone (design, Instances and affinity).
 */
export class Changes {
  private readonly listeners = new Map<ChangeListener, ReadonlySet<string>>();
  private readonly waiting = new Map<string, Waiting>();
  private timer: NodeJS.Timeout | undefined;

  /** `owners` are the keys of the owners that the listener can be. Returns the way to stop listening. */
  subscribe(listener: ChangeListener, owners: ReadonlySet<string>): () => void {
    this.flush(); // what others still wait to hear is older than this listener
    this.listeners.set(listener, owners);
    return () => this.listeners.delete(listener);
  }

  listsChanged(server: string, kinds: Iterable<OfferKind>, owner?: string): void {
    const key = `${server}\n${owner ?? ''}`;
    const waiting = this.waiting.get(key) ?? { server, owner, kinds: new Set() };
    for (const kind of kinds) waiting.kinds.add(kind);
    if (waiting.kinds.size === 0) return;
    this.waiting.set(key, waiting);
    this.timer ??= setTimeout(() => this.flush(), COALESCE_MS).unref();
  }

  close(): void {
    clearTimeout(this.timer);
    this.listeners.clear();
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const told = [...this.waiting.values()];
    this.waiting.clear();
    for (const { server, kinds, owner } of told)
      for (const listener of this.hearing(owner)) listener.listsChanged(server, kinds);
  }

  private hearing(owner: string | undefined): ChangeListener[] {
    const all = [...this.listeners];
    const hearing = owner === undefined ? all : all.filter(([, owners]) => owners.has(owner));
    return hearing.map(([listener]) => listener);
  }
}
