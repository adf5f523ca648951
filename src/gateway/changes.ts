// Announces changes of lists to the clients that listen for them; several changes in a short time are one.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { CallerFacts, OfferKind } from '../core/call.ts';

export interface ChangeListener {
  readonly caller: CallerFacts;
  /** The lists of these kinds changed at this server. */
  listsChanged(server: string, kinds: ReadonlySet<OfferKind>): void;
}

/** Who hears of a change; everybody without an audience. */
export interface Audience {
  /** The one whose instance announced the change: it goes to the listeners of that owner alone (docs/instances.md). */
  readonly owner?: string | undefined;
  /** Whether the change is one of what the caller may see. Absent where that is not known: then it is announced. */
  readonly isSeenBy?: ((caller: CallerFacts, kind: OfferKind) => boolean) | undefined;
}

/** A change that is not announced yet. */
interface PendingChange extends Audience {
  readonly server: string;
  readonly kinds: readonly OfferKind[];
}

export class Changes {
  private readonly listeners = new Map<ChangeListener, ReadonlySet<string>>();
  private pending: PendingChange[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** `owners`: the keys under which the listener can own instances. Returns how to unsubscribe. */
  subscribe(listener: ChangeListener, owners: ReadonlySet<string>): () => void {
    this.flush(); // what others still wait to hear is older than this listener
    this.listeners.set(listener, owners);
    return () => this.listeners.delete(listener);
  }

  listsChanged(server: string, kinds: readonly OfferKind[], audience: Audience = {}): void {
    if (kinds.length === 0) return;
    this.pending.push({ server, kinds, ...audience });
    this.timer ??= setTimeout(() => this.flush(), BOUNDS.listChangeGathering).unref();
  }

  close(): void {
    clearTimeout(this.timer);
    this.listeners.clear();
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const changes = Map.groupBy(this.pending, ({ server }) => server);
    this.pending = [];
    for (const [server, ofServer] of changes)
      for (const [listener, owners] of [...this.listeners]) {
        const heard = ofServer.filter(({ owner }) => owner === undefined || owners.has(owner));
        const kinds = new Set(heard.flatMap((change) => kindsFor(listener, change)));
        if (kinds.size > 0) listener.listsChanged(server, kinds);
      }
  }
}

function kindsFor({ caller }: ChangeListener, { kinds, isSeenBy }: PendingChange): readonly OfferKind[] {
  return isSeenBy ? kinds.filter((kind) => isSeenBy(caller, kind)) : kinds;
}
