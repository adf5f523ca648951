// Makes the wires to a configured server: to a process, which may run before any owner needs it, or to a URL.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { cannotAsk } from '../../../core/exchange.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import { childEnvironment } from '../process/environment.ts';
import { openDispatcher } from '../wire/dispatcher.ts';
import { HttpWire } from '../wire/http-wire.ts';
import { SseWire } from '../wire/sse-wire.ts';
import { StdioWire } from '../wire/stdio-wire.ts';
import type { Wire, WireEvents, WireOptions } from '../wire/wire.ts';

/** Makes a wire to a process, or to a URL over Streamable HTTP or HTTP+SSE. Its `start` opens it. */
export function wireTo(server: ConfiguredServer, events: WireEvents, sse: boolean): Wire {
  const { config, context } = server;
  if (config.transport === 'stdio') return stdioWire(server, events);
  const { url = '', headers } = config;
  const dispatcher = openDispatcher(new URL(url).origin, config, context.env);
  const http = { ...optionsOf(server, events), url, headers, dispatcher };
  return sse ? new SseWire(http) : new HttpWire(http);
}

function optionsOf({ name, config, context, redaction }: ConfiguredServer, events: WireEvents): WireOptions {
  const { deadlines, maxMessageBytes, maxItems } = context;
  return { server: name, timeouts: config.timeouts, maxMessageBytes, maxItems, deadlines, redaction, events };
}

function stdioWire(server: ConfiguredServer, events: WireEvents): StdioWire {
  const { config, context } = server;
  const { command = '', args, cwd, secrets: redact } = config;
  const given = Object.entries(config.env).map(([name, secret]) => [name, secret.reveal()] as const);
  const env = childEnvironment(Object.fromEntries(given), context.env);
  return new StdioWire({
    ...optionsOf(server, events),
    pings: server.answersPings,
    endedUnpinged: () => {
      server.answersPings = false;
    },
    process: { command, args, env, cwd, redact, containment: context.containment },
  });
}

/** A process that runs before any owner needs it. The handshake declares the capabilities of the owner who takes it. */
export class PrewarmedProcess {
  /** `NAME#N`: which start of the server this is. */
  readonly id: string;
  readonly wire: StdioWire;
  private readonly events: WireEvents;

  /** Calls `ended` if the process ends before it is taken; `detail` is for the operator alone. */
  constructor(server: ConfiguredServer, ended: (reason: string, detail?: string) => void) {
    const diagnostic = (text: string) => server.diagnose(text);
    this.id = server.nextInstanceId();
    this.events = {
      notification: (method) => diagnostic(`${method.slice(0, BOUNDS.quotedMethod)} before it was greeted`),
      closed: ended,
      missed: () => undefined, // nothing was read from it yet
      serverRequest: cannotAsk,
      log: () => diagnostic('a log line before it was greeted'),
      diagnostic,
    };
    this.wire = stdioWire(server, this.events);
  }

  /** Hands the wire over; from now on `receiver` gets what the process sends. */
  take(receiver: WireEvents): StdioWire {
    Object.assign(this.events, receiver);
    return this.wire;
  }
}
