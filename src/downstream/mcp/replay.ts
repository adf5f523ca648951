// The event streams of one session, which outlive their connections: the session keeps the last events for clients that reconnect.
import { GatewayError } from '../../core/errors.ts';
import { sseMessage, ssePriming } from '../../protocol/mcp/sse.ts';
import { randomHex } from '../../telemetry/trace.ts';
import type { EventConnection, Outlet } from './http-response.ts';
import type { EndpointLimits } from './limits.ts';
import { BoundedMap } from '../../core/bounded-map.ts';

interface ReplayEvent extends Replayable {
  readonly stream: ReplayStream;
  readonly number: number;
  readonly text: string;
}

/** A client's position on a stream. */
export interface ReplayPosition {
  readonly stream: ReplayStream;
  /** The number of the last event that the client has. */
  readonly after: number;
}

export interface ReplayOptions {
  readonly limits: EndpointLimits;
  /** Whether clients know events without data, and poll when the server closes a connection (2025-11-25). */
  readonly polls: boolean;
}

/** The streams of one session. The id of an event names session, stream and event, so that ids of other sessions are invalid here. */
export class Replay {
  readonly options: ReplayOptions;
  private readonly session = randomHex(4);
  private readonly streams = new Map<number, ReplayStream>();
  /** The events of all streams, oldest first. */
  private readonly events: ReplayEvent[] = [];
  private bytes = 0;
  private lastStream = 0;
  private closed = false;

  constructor(options: ReplayOptions) {
    this.options = options;
  }

  /** Begins a stream on a connection. `polled`: the gateway may close the connection so that the client polls, as for calls. */
  open(connection: EventConnection, { polled }: { polled: boolean }): ReplayStream {
    const number = ++this.lastStream;
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
   * Finds the position that a Last-Event-ID names; undefined if its stream has ended and has no further events. Throws `invalid_request` if
   * the id is not one of this session.
   */
  find(id: string): ReplayPosition | undefined {
    const [session, stream, event, ...rest] = id.split('-');
    const [number, after] = [positionOf(stream), positionOf(event)];
    const isKnown = session === this.session && number !== undefined && number > 0 && number <= this.lastStream;
    const found = isKnown ? this.streams.get(number) : undefined;
    // the session does not remember how many events a removed stream had
    if (!isKnown || after === undefined || rest.length > 0 || (found && after > found.sent))
      throw new GatewayError(
        'invalid_request',
        'The Last-Event-ID is of no stream of this session. Open a stream without it.',
      );
    return !found || (found.ended && after === found.sent) ? undefined : { stream: found, after };
  }

  /** Keeps an event of a stream, and drops the oldest events of the session, or of all sessions, that are over a bound. */
  keep(stream: ReplayStream, number: number, text: string): void {
    const { bounds, replayBudget } = this.options.limits;
    if (this.closed) return;
    const event: ReplayEvent = {
      stream,
      number,
      text,
      bytes: Buffer.byteLength(text),
      // the budget releases the oldest event of all, which is the oldest of its session too
      release: () => this.dropOldest(),
    };
    this.events.push(event);
    this.bytes += event.bytes;
    while (this.bytes > bounds.replayBytes || this.events.length > bounds.replayEvents) {
      const oldest = this.dropOldest();
      if (!oldest) break;
      replayBudget.remove(oldest);
    }
    if (this.events.length > 0) replayBudget.add(event);
  }

  /** Drops all events and streams, because the session has ended. */
  close(): void {
    this.closed = true;
    for (const event of this.events) this.options.limits.replayBudget.remove(event);
    this.events.length = this.bytes = 0;
    this.streams.clear();
  }

  keptOf(stream: ReplayStream, after = 0): ReplayEvent[] {
    return this.events.filter((event) => event.stream === stream && event.number > after);
  }

  /** Removes a stream that has ended and of which no event is kept. */
  forget(stream: ReplayStream): void {
    if (stream.ended && !this.events.some((event) => event.stream === stream)) this.streams.delete(stream.number);
  }

  private dropOldest(): ReplayEvent | undefined {
    const oldest = this.events.shift();
    if (!oldest) return undefined;
    this.bytes -= oldest.bytes;
    this.forget(oldest.stream);
    return oldest;
  }
}

/** Reads a number of an event id; only in the spelling that the gateway uses. */
function positionOf(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;
}

/** One stream, on the newest connection that its client opened for it. */
export class ReplayStream implements Outlet {
  /** The number of the last event. */
  sent = 0;
  ended = false;
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

  /** Continues on this connection: sends the events that the client lacks, then every new one. Ends the connection before it. */
  attach(connection: EventConnection, after: number): void {
    const { limits, polls } = this.replay.options;
    const before = this.connection;
    this.connection = connection;
    before?.end();
    if (polls) connection.write(ssePriming(`${this.name}-${after}`, limits.bounds.pollDelay));
    for (const { number, text } of this.replay.keptOf(this, after)) connection.write(this.event(number, text));
    if (this.ended) {
      this.connection = undefined;
      connection.end();
      return;
    }
    if (polls && this.polled) connection.limitAge(limits.bounds.callStreamAge);
    connection.onClose(() => {
      if (this.connection === connection) this.connection = undefined;
    });
  }

  /** Keeps a message for a client that reconnects, and sends it if the client is connected. */
  send(text: string): boolean {
    if (this.ended) return false;
    const number = ++this.sent;
    this.replay.keep(this, number, text);
    this.connection?.write(this.event(number, text));
    return true;
  }

  end(text?: string): void {
    if (this.ended) return;
    if (text !== undefined) this.send(text);
    this.ended = true;
    this.connection?.end();
    this.connection = undefined;
    this.replay.forget(this);
  }

  private event(number: number, text: string): string {
    return sseMessage(text, `${this.name}-${number}`);
  }
}

/** An event that a session keeps for clients that reconnect. */
export interface Replayable {
  readonly bytes: number;
  /** Makes its session drop it; the budget has removed it already. */
  release(): void;
}

export class ReplayBudget {
  private readonly events: BoundedMap<Replayable, Replayable>;

  /** `most` is in bytes. */
  constructor(most: number) {
    this.events = new BoundedMap({ most, weigh: ({ bytes }) => bytes, evicted: (event) => event.release() });
  }

  get bytes(): number {
    return this.events.weight;
  }

  add(event: Replayable): void {
    this.events.set(event, event);
  }

  remove(event: Replayable): void {
    this.events.delete(event);
  }
}
