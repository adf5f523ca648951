// A process that the gateway started before any owner needed it; the handshake follows when an owner takes it.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { cannotAsk } from '../../../core/exchange.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { StdioWire } from '../wire/stdio-wire.ts';
import type { WireEvents } from '../wire/wire.ts';
import { stdioWire } from './stdio.ts';

/** Why a process ended. */
export interface ProcessEnd {
  readonly reason: string;
  /** For the operator alone. */
  readonly detail?: string | undefined;
}

/** The handshake declares the capabilities of the owner who takes the process. */
export class PrewarmedProcess {
  readonly id: string;
  /** Resolves if it ends before it is taken. */
  readonly ended: Promise<ProcessEnd>;
  private readonly wire: StdioWire;
  /** Receives what the process sends. */
  private receiver: WireEvents;

  /** `id` is `NAME#N`: which start of the server this is. */
  constructor(id: string, server: ConfiguredServer) {
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
    const diagnostic = (text: string) => server.diagnostics.record(text);
    this.id = id;
    this.ended = promise;
    this.receiver = {
      notification: (method) => diagnostic(`${method.slice(0, BOUNDS.quotedMethod)} before it was greeted`),
      closed: (reason, detail) => resolve({ reason, detail }),
      missed: () => undefined, // nothing was read from it yet
      serverRequest: cannotAsk,
      log: () => diagnostic('a log line before it was greeted'),
      diagnostic,
    };
    this.wire = stdioWire(server, {
      notification: (method, params) => this.receiver.notification(method, params),
      closed: (reason, detail) => this.receiver.closed(reason, detail),
      missed: () => this.receiver.missed(),
      isForOwner: (method) => this.receiver.isForOwner?.(method) === true,
      serverRequest: (request) => this.receiver.serverRequest(request),
      log: (params) => this.receiver.log(params),
      diagnostic: (text) => this.receiver.diagnostic(text),
    });
  }

  /** Resolves when the process runs. Throws GatewayError. */
  start(): Promise<void> {
    return this.wire.start();
  }

  /** Hands the wire over; from now on `receiver` gets what the process sends. */
  take(receiver: WireEvents): StdioWire {
    this.receiver = receiver;
    return this.wire;
  }

  close(): Promise<void> {
    return this.wire.close();
  }
}
