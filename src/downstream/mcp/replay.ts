// The event streams of one session, which outlive their connections: what was sent is kept for clients that come back, the oldest goes first.
import { GatewayError } from '../../core/errors.ts';
import { sseMessage, ssePriming } from '../../protocol/mcp/sse.ts';
import { randomHex } from '../../telemetry/trace.ts';
import type { EventConnection, Outlet } from './event-connection.ts';
import type { Kept } from './replay-budget.ts';
import type { EndpointLimits } from './limits.ts';

interface KeptEvent extends Kept {
  readonly stream: ReplayStream;
  readonly number: number;
  readonly text: string;
}

/** Where a client is on a stream. */
export interface ReplayPosition {
  readonly stream: ReplayStream;
  /** The number of the last event that it has. */
  readonly after: number;
}

export interface ReplayOptions {
  readonly limits: EndpointLimits;
  /** Whether clients know events without data and a server that ends connections (2025-11-25). */
  readonly polls: boolean;
}

/** The streams of one session. The id of an event names session, stream and event, so that no other session's means anything here. */
export class Replay {
  readonly options: ReplayOptions;
  private readonly session = randomHex(4);
  private readonly streams = new Map<number, ReplayStream>();
  private readonly kept: KeptEvent[] = [];
  private bytes = 0;
  private last = 0;
  private closed = false;

  constructor(options: ReplayOptions) {
    this.options = options;
  }

  /** Begins a stream on a connection; that of a call may be left for the client to poll. */
  open(connection: EventConnection, { polled }: { polled: boolean }): ReplayStream {
    const number = ++this.last;
    const stream = new ReplayStream(this, { number, name: `${this.session}-${number}`, polled });
    this.streams.set(number, stream);
    stream.attach(connection, 0);
    return stream;
  }

  /** Whether a client reads one of the streams. */
  get isRead(): boolean {
    for (const { connected } of this.streams.values()) if (connected) return true;
    return false;
  }

  /**
   * Finds the place of a Last-Event-ID; undefined where nothing more will come of its stream. Throws `invalid_request` where it is none of
   * this session's.
   */
  find(id: string): ReplayPosition | undefined {
    const [session, stream, event, ...rest] = id.split('-');
    const [number, after] = [positionOf(stream), positionOf(event)];
    const isKnown = session === this.session && number !== undefined && number > 0 && number <= this.last;
    const found = isKnown ? this.streams.get(number) : undefined;
    // how many events a stream had is forgotten with it
    if (!isKnown || after === undefined || rest.length > 0 || (found && after > found.sent))
      throw new GatewayError(
        'invalid_request',
        'The Last-Event-ID is of no stream of this session. Open a stream without it.',
      );
    return !found || (found.over && after === found.sent) ? undefined : { stream: found, after };
  }

  /** Keeps an event of a stream; the oldest of the session give way to it, and where all sessions keep too much, the oldest of all. */
  keep(stream: ReplayStream, number: number, text: string): void {
    const { replayBytes, replayEvents, kept } = this.options.limits;
    if (this.closed) return;
    const event: KeptEvent = {
      stream,
      number,
      text,
      bytes: Buffer.byteLength(text),
      release: () => this.letGoOldest(),
    };
    this.kept.push(event);
    this.bytes += event.bytes;
    while (this.bytes > replayBytes || this.kept.length > replayEvents) {
      const oldest = this.letGoOldest();
      if (!oldest) break;
      kept.remove(oldest);
    }
    if (this.kept.length > 0) kept.add(event);
  }

  /** The session has ended: nobody comes back to it. */
  close(): void {
    this.closed = true;
    for (const event of this.kept) this.options.limits.kept.remove(event);
    this.kept.length = this.bytes = 0;
    this.streams.clear();
  }

  keptOf(stream: ReplayStream, after = 0): KeptEvent[] {
    return this.kept.filter((event) => event.stream === stream && event.number > after);
  }

  /** Lets go of a stream that is over once nothing of it is kept. */
  forget(stream: ReplayStream): void {
    if (stream.over && !this.kept.some((event) => event.stream === stream)) this.streams.delete(stream.number);
  }

  private letGoOldest(): KeptEvent | undefined {
    const oldest = this.kept.shift();
    if (!oldest) return undefined;
    this.bytes -= oldest.bytes;
    this.forget(oldest.stream);
    return oldest;
  }
}

/** A number as it was written into an id: no other spelling of it was ever issued. */
function positionOf(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;
}

/** One stream, on whichever connection its client has. */
export class ReplayStream implements Outlet {
  /** The number of the last event. */
  sent = 0;
  over = false;
  readonly number: number;
  private readonly replay: Replay;
  private readonly name: string;
  private readonly polled: boolean;
  private connection: EventConnection | undefined;

  constructor(replay: Replay, { number, name, polled }: { number: number; name: string; polled: boolean }) {
    this.replay = replay;
    this.number = number;
    this.name = name;
    this.polled = polled;
  }

  get connected(): boolean {
    return this.connection !== undefined;
  }

  /** Goes on here: sends what the client lacks, and from now on what comes. A connection that it had before ends. */
  attach(connection: EventConnection, after: number): void {
    const { limits, polls } = this.replay.options;
    const before = this.connection;
    this.connection = connection;
    before?.end();
    if (polls) connection.write(ssePriming(`${this.name}-${after}`, limits.retryMs));
    for (const { number, text } of this.replay.keptOf(this, after)) connection.write(this.event(number, text));
    if (this.over) {
      this.connection = undefined;
      connection.end();
      return;
    }
    if (polls && this.polled) connection.limitAge(limits.pollAfterMs);
    connection.onClose(() => {
      if (this.connection === connection) this.connection = undefined;
    });
  }

  /** Sends a message to the client that is there, or keeps it for the one that comes back. */
  send(text: string): boolean {
    if (this.over) return false;
    const number = ++this.sent;
    this.replay.keep(this, number, text);
    this.connection?.write(this.event(number, text));
    return true;
  }

  end(text?: string): void {
    if (this.over) return;
    if (text !== undefined) this.send(text);
    this.over = true;
    this.connection?.end();
    this.connection = undefined;
    this.replay.forget(this);
  }

  private event(number: number, text: string): string {
    return sseMessage(text, `${this.name}-${number}`);
  }
}
