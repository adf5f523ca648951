// JSON-RPC over HTTP+SSE (2024-11-05 transports, HTTP with SSE): one stream for all messages of the server, a POST for each of the gateway's.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { SseEvent } from '../../../protocol/mcp/sse.ts';
import { Channel } from './channel.ts';
import { messageError, transportError } from './http-errors.ts';
import { HttpEndpoint, type HttpExchange, type HttpWireOptions, type ResponseHeaders } from './http-exchange.ts';
import type { Deadline } from './pending.ts';
import { closed, timedOut, type Wire, type WireReply, type WireRequest } from './wire.ts';

/** The stream is the session of the server. */
export class SseWire implements Wire {
  readonly transport = 'sse';
  readonly stateful = false;
  private readonly options: HttpWireOptions;
  private readonly endpoint: HttpEndpoint;
  private readonly channel: Channel;
  private readonly opened = Promise.withResolvers<void>();
  private stream: HttpExchange | undefined;
  private closing: Promise<void> | undefined;
  private opening: Deadline | undefined;
  /** The path for POST; undefined until the server has named it. */
  private path: string | undefined;
  private headers: Readonly<Record<string, string>>;

  constructor(options: HttpWireOptions) {
    this.options = options;
    this.endpoint = new HttpEndpoint(options);
    this.headers = this.endpoint.headers;
    this.channel = new Channel({
      ...options,
      source: 'the stream',
      aliveMs: options.timeouts.connect,
      send: (text) => this.send(text),
      giveUp: () => void this.close(),
    });
  }

  /** Opens the stream; resolves when the server has named the path for POST. Throws GatewayError. */
  start(): Promise<void> {
    this.stream = this.endpoint.send(
      { method: 'GET', headers: this.endpoint.streamHeaders, bodyTimeout: 0 },
      {
        headers: (headers, isStream) => this.onHeaders(headers, isStream),
        event: (event) => this.onEvent(event),
        message: (text) => this.channel.receive(text),
        dropped: (event) => this.channel.dropped(event, this.options.maxMessageBytes),
        end: (error) => this.onEnd(error),
      },
    );
    return this.opened.promise;
  }

  request(request: WireRequest): Promise<WireReply> {
    return this.channel.request(request);
  }

  notify(method: string, params: JsonObject): Promise<void> {
    return this.channel.notify(method, params);
  }

  adopt({ era, version }: { era: 'legacy' | 'modern'; version: string }): void {
    this.channel.adopt(era);
    // 2025-06-18 introduced this header
    if (version >= '2025-06-18') this.headers = { ...this.headers, 'mcp-protocol-version': version };
  }

  /** A server that has forgotten the session has closed the stream too. */
  retire(): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  private async end(): Promise<void> {
    const reason = closed(this.options.server);
    this.channel.close(reason);
    await this.endpoint.flush(BOUNDS.upstreamFlush);
    this.stream?.abort(reason);
    this.endpoint.abort(reason);
    await this.endpoint.destroy();
  }

  private onHeaders(_headers: ResponseHeaders, isStream: boolean): void {
    const { server, deadlines, timeouts } = this.options;
    if (!isStream) {
      const message = `The server "${server}" answered GET with something that is not an event stream: its URL is not an HTTP+SSE endpoint of MCP.`;
      this.stream?.abort(new GatewayError('upstream_protocol', message));
      return;
    }
    this.opening = deadlines.start(timeouts.firstByte, 0, () =>
      this.stream?.abort(timedOut(server, { limit: 'firstByte', ms: timeouts.firstByte })),
    );
  }

  /** The server names the path for POST. Another origin is refused, since messages carry this server's credentials. */
  private onEvent({ event, data }: SseEvent): void {
    if (event !== 'endpoint' || this.path !== undefined) return;
    const { url } = this.endpoint;
    const target = URL.canParse(data, url.href) ? new URL(data, url.href) : undefined;
    if (target?.origin !== url.origin) {
      const message = `The server "${this.options.server}" wants messages sent to ${JSON.stringify(data.slice(0, BOUNDS.quotedValue))}, which is not of its own origin ${url.origin}; put the URL that it really has in its \`url\`.`;
      this.stream?.abort(new GatewayError('upstream_protocol', message));
      return;
    }
    this.path = target.pathname + target.search;
    this.opening?.clear();
    this.opened.resolve();
  }

  private onEnd(error: Error | undefined): void {
    const { server, timeouts } = this.options;
    this.opening?.clear();
    const cause = error ?? new Error('the server ended its stream');
    const failure = transportError(server, cause, timeouts);
    if (this.path === undefined) this.opened.reject(failure);
    // a GatewayError is complete; the error of a connection is only a reason
    this.channel.lose(reasonOf(cause), cause instanceof GatewayError ? { error: cause } : {});
  }

  private async send(text: string): Promise<void> {
    const { server } = this.options;
    if (this.path === undefined)
      throw new GatewayError('upstream_closed', `The server "${server}" has not said where messages go.`);
    try {
      await this.endpoint.post(text, { headers: this.headers, path: this.path });
    } catch (error) {
      throw messageError(server, error);
    }
  }
}
