// Clients on bare sockets that share one server and use the same ids and progress tokens, each with a secret of its own.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const MODERN = '2026-07-28';
const LEGACY = '2025-06-18';
/** Every so many calls one asks for progress, and another one is left in the middle. */
const PROGRESS_EVERY = 20;
const LEAVE_EVERY = 50;

export interface Findings {
  answered: number;
  cancelled: number;
  progress: number;
  /** What reached a client and was not its own; holds the first few. */
  foreign: string[];
}

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly progressToken?: unknown; readonly message?: string };
  readonly result?: { readonly content?: readonly { readonly text?: string }[] };
}

/** Runs `clients` clients with `calls` calls each, every second one with a legacy session. */
export async function runCollidingClients(
  origin: string,
  { clients, calls }: { clients: number; calls: number },
): Promise<Findings> {
  const findings: Findings = { answered: 0, cancelled: 0, progress: 0, foreign: [] };
  const all = Array.from(
    { length: clients },
    (_, index) => new CollidingClient(new URL(origin), index % 2 === 0, findings),
  );
  await Promise.all(all.map((client) => client.run(calls)));
  return findings;
}

class CollidingClient {
  private readonly url: URL;
  private readonly modern: boolean;
  private readonly findings: Findings;
  private readonly secret = randomBytes(16).toString('hex');
  private session = '';
  private connection: RawConnection | undefined;

  constructor(url: URL, modern: boolean, findings: Findings) {
    this.url = url;
    this.modern = modern;
    this.findings = findings;
  }

  async run(calls: number): Promise<void> {
    if (!this.modern) await this.initialize();
    // ids start anew on every client: all of them collide
    for (let id = 1; id <= calls; id += 1) {
      if (this.modern && id % LEAVE_EVERY === 0) await this.leave(id);
      if (id % PROGRESS_EVERY === 0) await this.slow(id);
      else await this.whoami(id);
    }
    this.connection?.close();
  }

  private async initialize(): Promise<void> {
    const params = { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const { headers } = await this.send({ id: 0, method: 'initialize', params });
    this.session = headers.get('mcp-session-id') ?? '';
    await this.send({ method: 'notifications/initialized' });
  }

  private async whoami(id: number): Promise<void> {
    const answer = await this.send(this.call(id, 'whoami', { secret: this.secret }));
    this.check(answer, { id, text: this.secret });
  }

  private async slow(id: number): Promise<void> {
    const answer = await this.send(this.call(id, 'slow', { ms: 4, steps: 2, label: this.secret }));
    this.check(answer, { id, text: `slow ${this.secret} done after 2 steps` });
  }

  /** Closing the connection cancels this call, and none of those that have the same id. */
  private async leave(id: number): Promise<void> {
    const gone = new RawConnection(this.url);
    await gone.write(this.request(this.call(id, 'slow', { ms: 60_000, steps: 1, label: this.secret })));
    await gone.firstByte();
    gone.close();
    this.findings.cancelled += 1;
  }

  private call(id: number, tool: string, args: object): object {
    const meta = {
      progressToken: 1,
      ...(this.modern && {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      }),
    };
    return { id, method: 'tools/call', params: { name: `echo__${tool}`, arguments: args, _meta: meta } };
  }

  private check({ body, headers }: Answer, { id, text }: { id: number; text: string }): void {
    const events = headers.get('content-type')?.startsWith('text/event-stream') === true;
    const texts = events
      ? body.split('\n').flatMap((line) => (line.startsWith('data: {') ? [line.slice(6)] : []))
      : [body];
    const messages = texts.map((one) => JSON.parse(one) as Message);
    const answers = messages.filter((message) => message.id === id && message.result?.content?.[0]?.text === text);
    const progress = messages.filter(
      ({ method, params }) =>
        method === 'notifications/progress' &&
        params?.progressToken === 1 &&
        params.message?.endsWith(this.secret) === true,
    );
    this.findings.answered += answers.length;
    this.findings.progress += progress.length;
    const own = answers.length === 1 && answers.length + progress.length === messages.length;
    if (!own && this.findings.foreign.length < 10) this.findings.foreign.push(`${this.secret} got ${body}`);
  }

  private async send(message: object): Promise<Answer> {
    this.connection ??= new RawConnection(this.url);
    await this.connection.write(this.request(message));
    return this.connection.answer();
  }

  private request(message: object): string {
    const { method, params } = message as { method: string; params?: { name?: string } };
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    const headers = {
      host: this.url.host,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'content-length': String(Buffer.byteLength(body)),
      ...(this.modern && { 'mcp-protocol-version': MODERN, 'mcp-method': method, 'mcp-name': params?.name ?? '' }),
      ...(this.session !== '' && { 'mcp-protocol-version': LEGACY, 'mcp-session-id': this.session }),
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `POST /mcp HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
  }
}

/** One kept-alive HTTP/1.1 connection, one request at a time. */
class RawConnection {
  private readonly socket: Socket;
  private received = '';

  constructor(url: URL) {
    this.socket = connect(Number(url.port), url.hostname);
    this.socket.setMaxListeners(0); // every wait for an answer listens, and none is told of an error that never comes
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk: string) => (this.received += chunk));
  }

  async write(text: string): Promise<void> {
    if (this.socket.connecting) await once(this.socket, 'connect');
    this.socket.write(text);
  }

  async firstByte(): Promise<void> {
    await this.until(() => this.received !== '');
  }

  async answer(): Promise<Answer> {
    await this.until(() => this.received.includes('\r\n\r\n'));
    const end = this.received.indexOf('\r\n\r\n');
    const [first = '', ...lines] = this.received.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    this.received = this.received.slice(end + 4);
    const chunked = headers.get('transfer-encoding') === 'chunked';
    const body = chunked ? await this.chunks() : await this.bytes(Number(headers.get('content-length') ?? 0));
    return { status: Number(first.split(' ')[1]), headers, body };
  }

  close(): void {
    this.socket.destroy();
  }

  private async chunks(): Promise<string> {
    let body = '';
    for (;;) {
      await this.until(() => this.received.includes('\r\n'));
      const line = this.received.indexOf('\r\n');
      const size = parseInt(this.received.slice(0, line), 16);
      this.received = this.received.slice(line + 2);
      body += (await this.bytes(size + 2)).slice(0, size);
      if (size === 0) return body;
    }
  }

  private async bytes(count: number): Promise<string> {
    await this.until(() => this.received.length >= count);
    const bytes = this.received.slice(0, count);
    this.received = this.received.slice(count);
    return bytes;
  }

  private async until(met: () => boolean): Promise<void> {
    while (!met()) {
      if (this.socket.destroyed || this.socket.readableEnded)
        throw new Error(`the connection ended after ${this.received}`);
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
  }
}
