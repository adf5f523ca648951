// Hearing of changes: a legacy server says so unasked, a modern one is asked with `subscriptions/listen`.
import { isObject, type JsonObject } from '../../core/json.ts';
import { backoffMs } from './backoff.ts';
import { type Connection } from './connection.ts';

/** Changes within this time are read together. */
const COALESCE_MS = 50;

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
  private timer: NodeJS.Timeout | undefined;
  private listenTimer: NodeJS.Timeout | undefined;
  private abort: AbortController | undefined;
  private reading = false;
  private again = false;
  private stopped = false;

  constructor(connection: Connection, handlers: OfferWatchHandlers) {
    this.connection = connection;
    this.on = handlers;
  }

  start(): void {
    if (this.connection.era === 'modern') this.listen(0);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.listenTimer);
    this.abort?.abort();
  }

  /** A change was signalled. */
  changed(): void {
    if (this.stopped) return;
    this.again = true;
    if (!this.reading) this.timer ??= setTimeout(() => void this.read(), COALESCE_MS).unref();
  }

  /** Wants (or no longer wants) to hear of updates to a resource; over a modern connection the listening is renewed. */
  follow(uri: string, wanted: boolean): void {
    const changed = wanted ? this.uris.size !== this.uris.add(uri).size : this.uris.delete(uri);
    if (!changed || this.connection.era !== 'modern' || this.stopped) return;
    clearTimeout(this.listenTimer);
    this.abort?.abort();
    this.listen(0);
  }

  private async read(): Promise<void> {
    this.timer = undefined;
    this.again = false;
    this.reading = true;
    await this.on.changed();
    this.reading = false;
    if (this.again as boolean) this.changed();
  }

  private listen(attempt: number): void {
    const notifications = this.filter();
    if (this.stopped || Object.keys(notifications).length === 0) return;
    const abort = new AbortController();
    this.abort = abort;
    const restart = () => {
      if (this.stopped || abort.signal.aborted) return;
      // what changed while nobody listened is only found by reading again (wire.md, Subscriptions)
      this.listenTimer = setTimeout(
        () => {
          this.listen(attempt + 1);
          this.changed();
        },
        backoffMs(attempt + 1),
      ).unref();
    };
    this.connection
      .request({
        method: 'subscriptions/listen',
        params: { notifications },
        totalMs: Infinity,
        exchange: { signal: abort.signal, wantsProgress: false, progress: ignore, log: ignore, notify: ignore },
        onNotification: (method, params) => {
          attempt = 0;
          this.onNotification(method, params);
        },
      })
      .then((reply) => {
        // refused outright: the server has no such method, and asking again would not change that
        if (!reply.error) restart();
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

function ignore(): void {
  // the gateway's own listening has no caller to tell
}
