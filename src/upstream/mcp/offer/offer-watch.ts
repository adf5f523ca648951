// Watches a connection for changes of its offer: a legacy server sends them by itself, a modern one after `subscriptions/listen`.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { Backoff } from '../../../core/backoff.ts';
import { Cancellation } from '../../../core/cancellation.ts';
import { ownExchange } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import { backoffMs } from '../connect/backoff.ts';
import type { Connection } from '../connect/connection.ts';

const PAUSES = { firstMs: BOUNDS.offerReadPauseFirst, mostMs: BOUNDS.offerReadPauseMost };
/** If no change came for so many pauses, the next pause is the first one again. */
const QUIET_PAUSES = 10;

/** Receives the changes that a watch collects. */
export interface OfferWatchListener {
  /** The offer changed. The next change is reported when this has resolved. */
  offerChanged(): Promise<void>;
  /** A resource changed. */
  updated(uri: string): void;
}

export class OfferWatch {
  private readonly connection: Connection;
  private readonly listener: OfferWatchListener;
  private readonly uris = new Set<string>();
  /** The resources that the server left out of its last acknowledgement. */
  private refused: ReadonlySet<string> = new Set();
  private timer: NodeJS.Timeout | undefined;
  private listenTimer: NodeJS.Timeout | undefined;
  /** The `subscriptions/listen` in force; while it is being renewed, the one before it too. */
  private readonly open = new Set<Cancellation>();
  /** Resolves when the last renewal is in force. */
  private renewal: Promise<void> | undefined;
  /** Whether the next `subscriptions/listen` is still to be sent. */
  private isRenewing = false;
  private reading = false;
  private readAt = -Infinity;
  private readonly pauses = new Backoff(PAUSES);
  private pauseMs = 0;
  private again = false;
  private stopped = false;

  constructor(connection: Connection, listener: OfferWatchListener) {
    this.connection = connection;
    this.listener = listener;
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

  /** The server reports a change. */
  changed(): void {
    if (this.stopped) return;
    this.again = true;
    if (this.reading || this.timer !== undefined) return;
    if (performance.now() - this.readAt > QUIET_PAUSES * this.pauseMs) this.pauses.reset();
    this.pauseMs = this.pauses.next();
    this.timer = setTimeout(() => void this.read(), this.pauseMs).unref();
  }

  /**
   * Subscribes to the updates of a resource, or unsubscribes. Resolves when the `subscriptions/listen` for it is in force, with whether the
   * server grants it. If the server does not acknowledge in time, it counts as granted.
   */
  async follow(uri: string, wanted: boolean): Promise<boolean> {
    if (this.connection.era !== 'modern' || this.stopped) return true;
    const changed = wanted ? this.uris.size !== this.uris.add(uri).size : this.uris.delete(uri);
    await (changed ? this.renew() : this.renewal);
    if (!wanted || !this.refused.has(uri)) return true;
    this.uris.delete(uri); // so that the next follower subscribes again
    return false;
  }

  /** Sends `subscriptions/listen` in a moment; resolves when it is in force. */
  private renew(): Promise<void> {
    if (this.isRenewing) return this.renewal ?? Promise.resolve();
    this.isRenewing = true;
    const inForce = Promise.withResolvers<void>();
    this.renewal = inForce.promise;
    setTimeout(inForce.resolve, BOUNDS.subscriptionAcknowledgement).unref();
    clearTimeout(this.listenTimer);
    this.listenTimer = setTimeout(() => {
      this.isRenewing = false;
      this.listen(0, inForce.resolve);
    }, BOUNDS.subscriptionBatch);
    return this.renewal;
  }

  private async read(): Promise<void> {
    this.timer = undefined;
    this.again = false;
    this.reading = true;
    await this.listener.offerChanged();
    this.reading = false;
    this.readAt = performance.now();
    if (this.again as boolean) this.changed();
  }

  /** Sends `subscriptions/listen`. The one before it ends only when this one is in force, so that no update is missed in between. */
  private listen(attempt: number, inForce: () => void): void {
    const notifications = this.filter();
    const requested = [...this.uris];
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
    let wasAnswered = false;
    const restart = () => {
      settle();
      if (this.stopped || abort.signal.aborted) return;
      this.open.delete(abort);
      const next = wasAnswered ? 0 : attempt + 1;
      // a change in between is found only by reading the offer again (wire.md, Subscriptions)
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
          wasAnswered = true;
          if (method === 'notifications/subscriptions/acknowledged') this.refused = notGranted(requested, params);
          settle();
          this.onNotification(method, params);
        },
      })
      .then((reply) => {
        // the server has no such method, and sending it again would not change that
        if (reply.error) {
          this.refused = new Set(requested);
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
      this.listener.updated(params.uri);
  }
}

/** The requested resources that the server did not grant (2026-07-28 basic/patterns/subscriptions, Acknowledgment). */
function notGranted(requested: readonly string[], { notifications }: JsonObject): ReadonlySet<string> {
  const granted = isObject(notifications) ? notifications.resourceSubscriptions : undefined;
  const known = new Set<unknown>(Array.isArray(granted) ? granted : []);
  return new Set(requested.filter((uri) => !known.has(uri)));
}

function nothing(): void {
  // no follower waits for this renewal
}
