// JSON-RPC over the pipes of a process.
import type { JsonObject } from '../../../core/json.ts';
import { oneLine } from '../../../protocol/mcp/frames.ts';
import { Channel } from './channel.ts';
import { StdioProcess, type StdioProcessOptions } from '../process/stdio-process.ts';
import { closed, type Wire, type WireOptions, type WireReply, type WireRequest } from './wire.ts';

/** `firstByte` and `idle` of the timeouts are `Infinity` if the entry does not set them. */
export interface StdioWireOptions extends WireOptions {
  readonly process: Omit<StdioProcessOptions, 'maxMessageBytes'>;
  /** Whether the gateway may ping the process. */
  readonly pings: boolean;
  /** The process ended before it answered its first ping. */
  endedUnpinged(): void;
}

export class StdioWire implements Wire {
  readonly transport = 'stdio';
  readonly stateful = false;
  readonly process: StdioProcess;
  private readonly server: string;
  private readonly channel: Channel;

  constructor(options: StdioWireOptions) {
    const { server, maxMessageBytes } = options;
    this.server = server;
    this.channel = new Channel({
      ...options,
      source: 'stdout',
      aliveMs: options.timeouts.ping,
      silence: options.timeouts,
      pingMs: options.pings ? options.timeouts.ping : undefined,
      send: (text) => this.send(text),
      giveUp: () => void this.process.stop(),
    });
    const run = { ...options.process, maxMessageBytes };
    this.process = new StdioProcess(run, {
      line: (text) => this.channel.receive(text),
      dropped: (line) => this.channel.dropped(line, maxMessageBytes),
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
