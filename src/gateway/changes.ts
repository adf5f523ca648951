// News of the offer: who wants to hear that lists or resources changed, and bursts made into one.
import { type OfferKind } from '../core/call.ts';

/** Changes of lists within this time are told once. */
const COALESCE_MS = 25;

export interface ChangeListener {
  /** The lists of these kinds changed at this server. */
  listsChanged(server: string, kinds: ReadonlySet<OfferKind>): void;
  resourceUpdated(server: string, uri: string): void;
}

/** Tells listeners; a listener that joins later hears only of later changes. */
export class Changes {
  private readonly listeners = new Set<ChangeListener>();
  private readonly waiting = new Map<string, Set<OfferKind>>();
  private timer: NodeJS.Timeout | undefined;

  /** Returns the way to stop listening. */
  subscribe(listener: ChangeListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  listsChanged(server: string, kinds: Iterable<OfferKind>): void {
    const waiting = this.waiting.get(server) ?? new Set();
    for (const kind of kinds) waiting.add(kind);
    if (waiting.size === 0) return;
    this.waiting.set(server, waiting);
    this.timer ??= setTimeout(() => this.flush(), COALESCE_MS).unref();
  }

  resourceUpdated(server: string, uri: string): void {
    for (const listener of this.listeners) listener.resourceUpdated(server, uri);
  }

  close(): void {
    clearTimeout(this.timer);
    this.listeners.clear();
  }

  private flush(): void {
    this.timer = undefined;
    const told = [...this.waiting];
    this.waiting.clear();
    for (const [server, kinds] of told) for (const listener of this.listeners) listener.listsChanged(server, kinds);
  }
}
