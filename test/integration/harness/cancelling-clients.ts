// Clients of every transport that begin a call, cancel it as their transport does, and call on.
import type { JsonObject } from '../../../src/core/json.ts';
import type { RunningGateway } from './gateway.ts';
import {
  type EventStream,
  type Inbox,
  initialize,
  type LegacySession,
  messageOf,
  modern,
  modernMeta,
  openPipe,
  openSession,
  type RawPipe,
  send,
  stream,
} from './raw.ts';

export interface CancellingClient {
  /** Begins a call; resolves when it has made progress, so that its server is at work. */
  begin(tool: string, args: JsonObject): Promise<void>;
  /** Cancels the call that was begun; resolves when that has left the client. */
  cancel(): Promise<void>;
  /** Calls a tool to its end; resolves with its result. */
  call(tool: string, args: JsonObject): Promise<unknown>;
  close(): Promise<unknown>;
}

const PROGRESS = { method: 'notifications/progress' };
const CANCELLED = 'notifications/cancelled';

let ids = 0;
const nextId = (): string => `call ${++ids}`;

/** By transport and era. */
export const CANCELLING_CLIENTS: Readonly<Record<string, (gateway: RunningGateway) => Promise<CancellingClient>>> = {
  'modern HTTP': ({ origin }) => Promise.resolve(new ModernHttp(origin)),
  'modern stdio': async (gateway) => {
    const pipe = openPipe(gateway);
    return new Channel({
      inbox: pipe.inbox,
      post: (message) => written(pipe, message),
      meta: modernMeta(),
      end: pipe.end,
    });
  },
  'legacy HTTP': async ({ origin }) => new LegacyHttp(origin, await openSession(origin)),
  'HTTP+SSE': async ({ origin }) => {
    const events = await stream(origin, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' } });
    const path = await events.endpoint;
    const headers = { 'Content-Type': 'application/json' };
    const end = () => {
      events.close();
      return events.ended;
    };
    const post = async (message: JsonObject) => {
      await send(origin, { path, headers, body: JSON.stringify({ jsonrpc: '2.0', ...message }) });
    };
    return initialized(new Channel({ inbox: events.inbox, post, meta: {}, end }), post);
  },
  'legacy stdio': (gateway) => {
    const pipe = openPipe(gateway);
    const post = (message: JsonObject) => written(pipe, message);
    return initialized(new Channel({ inbox: pipe.inbox, post, meta: {}, end: pipe.end }), post);
  },
};

function written(pipe: RawPipe, message: JsonObject): Promise<void> {
  pipe.line(JSON.stringify({ jsonrpc: '2.0', ...message }));
  return Promise.resolve();
}

async function initialized(channel: Channel, post: Post): Promise<Channel> {
  await post(JSON.parse(initialize('2024-11-05', 'first')) as JsonObject);
  await channel.inbox.find({ id: 'first' });
  await post({ method: 'notifications/initialized' });
  return channel;
}

class ModernHttp implements CancellingClient {
  private readonly origin: string;
  private begun: EventStream | undefined;

  constructor(origin: string) {
    this.origin = origin;
  }

  async begin(name: string, args: JsonObject): Promise<void> {
    const request = modern('tools/call', { name, arguments: args }, { meta: { progressToken: 1 } });
    this.begun = await stream(this.origin, request);
    await this.begun.inbox.find(PROGRESS);
  }

  async cancel(): Promise<void> {
    this.begun?.close();
    await this.begun?.ended;
  }

  async call(name: string, args: JsonObject): Promise<unknown> {
    return messageOf(await send(this.origin, modern('tools/call', { name, arguments: args }))).result;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class LegacyHttp implements CancellingClient {
  private readonly origin: string;
  private readonly session: LegacySession;
  private begun = '';

  constructor(origin: string, session: LegacySession) {
    this.origin = origin;
    this.session = session;
  }

  async begin(name: string, args: JsonObject): Promise<void> {
    this.begun = nextId();
    const params = { name, arguments: args, _meta: { progressToken: 1 } };
    const { inbox } = await stream(this.origin, this.session.request('tools/call', params, { id: this.begun }));
    await inbox.find(PROGRESS);
  }

  async cancel(): Promise<void> {
    await send(this.origin, this.session.notification(CANCELLED, { requestId: this.begun }));
  }

  async call(name: string, args: JsonObject): Promise<unknown> {
    const request = this.session.request('tools/call', { name, arguments: args }, { id: nextId() });
    return messageOf(await send(this.origin, request)).result;
  }

  close(): Promise<unknown> {
    return send(this.origin, this.session.delete());
  }
}

type Post = (message: JsonObject) => Promise<void>;

interface ChannelOptions {
  readonly inbox: Inbox;
  readonly post: Post;
  /** What each message carries in `_meta`. */
  readonly meta: JsonObject;
  readonly end: () => Promise<unknown>;
}

/** One conversation for everything: a pipe, or the stream of HTTP+SSE. */
class Channel implements CancellingClient {
  readonly inbox: Inbox;
  private readonly options: ChannelOptions;
  private begun = '';

  constructor(options: ChannelOptions) {
    this.options = options;
    this.inbox = options.inbox;
  }

  async begin(name: string, args: JsonObject): Promise<void> {
    this.begun = nextId();
    const params = { name, arguments: args, _meta: { ...this.options.meta, progressToken: this.begun } };
    await this.options.post({ id: this.begun, method: 'tools/call', params });
    await this.inbox.find(PROGRESS);
  }

  cancel(): Promise<void> {
    return this.options.post({ method: CANCELLED, params: { requestId: this.begun, _meta: this.options.meta } });
  }

  async call(name: string, args: JsonObject): Promise<unknown> {
    const id = nextId();
    await this.options.post({
      id,
      method: 'tools/call',
      params: { name, arguments: args, _meta: this.options.meta },
    });
    return (await this.inbox.find({ id })).result;
  }

  close(): Promise<unknown> {
    return this.options.end();
  }
}
