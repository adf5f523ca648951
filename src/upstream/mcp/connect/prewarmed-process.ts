// A process that was started ahead of whoever will use it: it runs, and nobody has greeted it.
import type { ServerConfig } from '../../../config/config.ts';
import { cannotAsk } from '../../../core/exchange.ts';
import type { StdioWire } from '../wire/stdio-wire.ts';
import type { WireEvents } from '../wire/wire.ts';
import { type StdioContext, stdioWire } from './stdio.ts';

export interface PrewarmedProcessOptions {
  /** `NAME#N`: which start of the server this is. */
  readonly id: string;
  readonly server: ServerConfig;
  readonly context: StdioContext;
  /** It ended before it was taken. */
  ended(reason: string, detail?: string): void;
  /** It said something before it was taken: nobody has asked it anything. */
  noise(what: string): void;
}

/** Greeted only when it is taken, since what it is told then depends on who takes it. */
export class PrewarmedProcess {
  readonly id: string;
  private readonly wire: StdioWire;
  /** Who hears what it says. */
  private to: WireEvents;

  constructor({ id, server, context, ended, noise }: PrewarmedProcessOptions) {
    this.id = id;
    this.to = {
      notification: (method) => noise(`${method.slice(0, 64)} before it was greeted`),
      closed: ended,
      missed: () => undefined, // nothing was read of it yet
      question: cannotAsk,
      log: () => noise('a log line before it was greeted'),
      noise,
    };
    this.wire = stdioWire(server, context, {
      notification: (method, params) => this.to.notification(method, params),
      closed: (reason, detail) => this.to.closed(reason, detail),
      missed: () => this.to.missed(),
      isOwners: (method) => this.to.isOwners?.(method) === true,
      question: (asked) => this.to.question(asked),
      log: (params) => this.to.log(params),
      noise: (what) => this.to.noise(what),
    });
  }

  /** Resolves when it runs. Throws GatewayError. */
  start(): Promise<void> {
    return this.wire.start();
  }

  /** Hands it over, with everything that it says from now on. */
  take(events: WireEvents): StdioWire {
    this.to = events;
    return this.wire;
  }

  close(): Promise<void> {
    return this.wire.close();
  }
}
