// Hearing of changes: a legacy server says so unasked, a modern one is asked with `subscriptions/listen`.
import { Cancellation } from '../../../core/cancellation.ts';
import { ownExchange } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import { backoffMs } from '../connect/backoff.ts';
import type { Connection } from '../connect/connection.ts';

/** Changes within this time are read together; where they do not end, twice as much each time, up to the most. */
const COALESCE_MS = 50;
const MOST_COALESCE_MS = 5_000;
/** Quiet for so many times the last wait ends what did not end. */
const QUIET = 10;
/** Resources that are followed within this time are asked for together. */
const RENEW_MS = 5;
/** How long a follower waits for the server to acknowledge. */
const ACKNOWLEDGE_MS = 2_000;

export interface OfferWatchHandlers {
  /** Something in the offer changed; read it again. */
  changed(): Promise<void>;
  updated(uri: string): void;
}

/** Watches the offer of one connection, and collects bursts of changes into one reading at a time. */
export class OfferWatch {
  private readonly connection: Connection;
  private readonly on: OfferWatchHandlers;
  private readonly uris = new Set<string>();
  /** Those that the server left out of its last acknowledgement. */
  private refused: ReadonlySet<string> = new Set();
  private timer: NodeJS.Timeout | undefined;
  private listenTimer: NodeJS.Timeout | undefined;
  /** The listening in force, and while it is being renewed the one before it. */
  private readonly open = new Set<Cancellation>();
  /** Settles when the last renewal is in force. */
  private renewal: Promise<void> | undefined;
  /** Whether what is followed by now is still to be asked for. */
  private isRenewing = false;
  private reading = false;
  private readAt = -Infinity;
  private waitMs = COALESCE_MS;
  private again = false;
  private stopped = false;

  constructor(connection: Connection, handlers: OfferWatchHandlers) {
    this.connection = connection;
    this.on = handlers;
  }

  start(): void {
    if (this.connection.era === 'modern') this.listen(0, nothing);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.listenTimer);
    for (const abort of this.open) abort.abort();
  }

  /** A change was signalled. */
  changed(): void {
    if (this.stopped) return;
    this.again = true;
    if (this.reading || this.timer !== undefined) return;
    const quiet = performance.now() - this.readAt > QUIET * this.waitMs;
    this.waitMs = quiet ? COALESCE_MS : Math.min(2 * this.waitMs, MOST_COALESCE_MS);
    this.timer = setTimeout(() => void this.read(), this.waitMs).unref();
  }

  /**
   * Wants (or no longer wants) to hear of updates to a resource. Resolves when the listening that says so is in force, with whether the
   * server grants it; one that is slow to acknowledge may still do so.
   */
  async follow(uri: string, wanted: boolean): Promise<boolean> {
    if (this.connection.era !== 'modern' || this.stopped) return true;
    const changed = wanted ? this.uris.size !== this.uris.add(uri).size : this.uris.delete(uri);
    await (changed ? this.renew() : this.renewal);
    if (!wanted || !this.refused.has(uri)) return true;
    this.uris.delete(uri); // so that whoever wants it next has it asked for anew
    return false;
  }

  /** Listens anew in a moment; resolves when that is in force. */
  private renew(): Promise<void> {
    if (this.isRenewing) return this.renewal ?? Promise.resolve();
    this.isRenewing = true;
    const inForce = Promise.withResolvers<void>();
    this.renewal = inForce.promise;
    setTimeout(inForce.resolve, ACKNOWLEDGE_MS).unref();
    clearTimeout(this.listenTimer);
    this.listenTimer = setTimeout(() => {
      this.isRenewing = false;
      this.listen(0, inForce.resolve);
    }, RENEW_MS);
    return this.renewal;
  }

  private async read(): Promise<void> {
    this.timer = undefined;
    this.again = false;
    this.reading = true;
    await this.on.changed();
    this.reading = false;
    this.readAt = performance.now();
    if (this.again as boolean) this.changed();
  }

  /** Listens anew. The listening before it ends only when this one is in force, so that nothing is missed in between. */
  private listen(attempt: number, inForce: () => void): void {
    const notifications = this.filter();
    const asked = [...this.uris];
    const before = [...this.open];
    const settle = () => {
      for (const abort of before) abort.abort();
      inForce();
    };
    if (this.stopped || Object.keys(notifications).length === 0) {
      settle();
      return;
    }
    const abort = new Cancellation();
    this.open.add(abort);
    abort.onAbort(() => this.open.delete(abort));
    let heard = false;
    const restart = () => {
      settle();
      if (this.stopped || abort.signal.aborted) return;
      this.open.delete(abort);
      const next = heard ? 0 : attempt + 1;
      // what changed while nobody listened is only found by reading again (wire.md, Subscriptions)
      this.listenTimer = setTimeout(
        () => {
          this.listen(next, nothing);
          this.changed();
        },
        backoffMs(next + 1),
      ).unref();
    };
    this.connection
      .request({
        method: 'subscriptions/listen',
        params: { notifications },
        totalMs: Infinity,
        exchange: ownExchange(abort.signal),
        onNotification: (method, params) => {
          heard = true;
          if (method === 'notifications/subscriptions/acknowledged') this.refused = leftOut(asked, params);
          settle();
          this.onNotification(method, params);
        },
      })
      .then((reply) => {
        // refused outright: the server has no such method, and asking again would not change that
        if (reply.error) {
          this.refused = new Set(asked);
          settle();
        } else restart();
      }, restart);
  }

  private filter(): JsonObject {
    const { capabilities } = this.connection.handshake;
    const lists = (capability: string) => {
      const declared = capabilities[capability];
      return isObject(declared) && declared.listChanged === true;
    };
    return {
      ...(lists('tools') && { toolsListChanged: true }),
      ...(lists('prompts') && { promptsListChanged: true }),
      ...(lists('resources') && { resourcesListChanged: true }),
      ...(this.uris.size > 0 && { resourceSubscriptions: [...this.uris] }),
    };
  }

  private onNotification(method: string, params: JsonObject): void {
    if (method.endsWith('/list_changed')) this.changed();
    else if (method === 'notifications/resources/updated' && typeof params.uri === 'string')
      this.on.updated(params.uri);
  }
}

/** What was asked for and is not granted (2026-07-28 basic/patterns/subscriptions, Acknowledgment). */
function leftOut(asked: readonly string[], { notifications }: JsonObject): ReadonlySet<string> {
  const granted = isObject(notifications) ? notifications.resourceSubscriptions : undefined;
  const known = new Set<unknown>(Array.isArray(granted) ? granted : []);
  return new Set(asked.filter((uri) => !known.has(uri)));
}

function nothing(): void {
  // the gateway's own listening has no caller to tell
}
