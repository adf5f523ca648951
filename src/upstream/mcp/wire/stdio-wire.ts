// JSON-RPC over the pipes of a process.
import type { JsonObject } from '../../../core/json.ts';
import { oneLine } from '../../../protocol/mcp/frames.ts';
import { Channel } from './channel.ts';
import type { Deadlines } from './pending.ts';
import { redactionOf } from '../redaction.ts';
import { StdioProcess, type StdioProcessOptions } from '../process/stdio-process.ts';
import { closed, type Timeouts, type Wire, type WireEvents, type WireReply, type WireRequest } from './wire.ts';

export interface StdioWireOptions {
  readonly server: string;
  readonly maxItems: number;
  readonly process: StdioProcessOptions;
  /** `firstByte` and `idle` are `Infinity` if the entry does not set them. */
  readonly timeouts: Pick<Timeouts, 'firstByte' | 'idle' | 'ping'>;
  /** Whether the gateway may ping the process. */
  readonly pings: boolean;
  /** The process ended before it answered its first ping. */
  endedUnpinged(): void;
  readonly deadlines: Deadlines;
  readonly events: WireEvents;
}

export class StdioWire implements Wire {
  readonly transport = 'stdio';
  readonly stateful = false;
  readonly process: StdioProcess;
  private readonly server: string;
  private readonly channel: Channel;

  constructor(options: StdioWireOptions) {
    const { server, maxItems, deadlines, events } = options;
    this.server = server;
    this.channel = new Channel({
      server,
      maxItems,
      deadlines,
      redaction: redactionOf(options.process.redact),
      events,
      source: 'stdout',
      aliveMs: options.timeouts.ping,
      silence: options.timeouts,
      pingMs: options.pings ? options.timeouts.ping : undefined,
      endedUnpinged: () => options.endedUnpinged(),
      send: (text) => this.send(text),
      giveUp: () => void this.process.stop(),
    });
    this.process = new StdioProcess(options.process, {
      line: (text) => this.channel.receive(text),
      oversize: () => undefined, // `dropped` follows when the line ends
      dropped: (line) => this.channel.dropped(line, options.process.maxMessageBytes),
      exit: (info) => this.channel.lose(info.message, { detail: info.detail }),
    });
  }

  start(): Promise<void> {
    return this.process.start();
  }

  request(request: WireRequest): Promise<WireReply> {
    return this.channel.request(request);
  }

  notify(method: string, params: JsonObject): Promise<void> {
    return this.channel.notify(method, params);
  }

  adopt({ era }: { era: 'legacy' | 'modern' }): void {
    this.channel.adopt(era);
  }

  /** Some servers log much about a refused request, which would push other lines out of the kept end of stderr. */
  refusedProbe(method: string): void {
    // the gateway reads what came on stderr before the answer in this turn of the event loop at the latest
    setImmediate(() => this.process.hideStderrFrom(method));
  }

  retire(): Promise<void> {
    return this.process.stop();
  }

  /** The process reads what was written before its input ends, unless it has stopped reading. */
  close(): Promise<void> {
    this.channel.close(closed(this.server));
    return this.process.stop();
  }

  /** Some servers split lines at every Unicode line separator, so these are escaped. */
  private send(text: string): undefined {
    this.process.send(oneLine(text));
  }
}
