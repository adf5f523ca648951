// Clients on bare sockets that share servers and use the same ids and progress tokens, each with a secret of its own.
import { randomBytes } from 'node:crypto';
import { eventTexts, type RawAnswer, RawConnection } from './raw-connection.ts';

const MODERN = '2026-07-28';
const LEGACY = '2025-06-18';
/** Every so many calls one is left in the middle. */
const LEAVE_EVERY = 50;

export interface Findings {
  answered: number;
  cancelled: number;
  progress: number;
  logged: number;
  /** What reached a client and was not its own; holds the first few. */
  foreign: string[];
}

/** A call that tells by its answer whose it is. */
export interface Errand {
  /** Every so many calls one is this, unless one listed before it is. */
  readonly every: number;
  readonly tool: string;
  readonly args: (secret: string) => object;
  readonly text: (secret: string) => string;
}

/** For the server `echo`, which is fixtures/servers/echo-stdio.ts. */
export const ECHO_ERRANDS: readonly Errand[] = [
  {
    every: 20,
    tool: 'echo__slow',
    args: (secret) => ({ ms: 4, steps: 2, label: secret }),
    text: (secret) => `slow ${secret} done after 2 steps`,
  },
  { every: 1, tool: 'echo__whoami', args: (secret) => ({ secret }), text: (secret) => secret },
];

export interface Crowd {
  readonly clients: number;
  readonly calls: number;
  /** Bearer tokens that the clients take in turn; without any they are anonymous. */
  readonly tokens?: readonly string[];
  readonly errands?: readonly Errand[];
}

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly progressToken?: unknown; readonly message?: string; readonly data?: unknown };
  readonly result?: { readonly content?: readonly { readonly text?: string }[] };
}

/** Runs clients beside each other, of each two one with a legacy session. */
export async function runCollidingClients(origin: string, crowd: Crowd): Promise<Findings> {
  const { clients, calls, tokens = [''], errands = ECHO_ERRANDS } = crowd;
  const findings: Findings = { answered: 0, cancelled: 0, progress: 0, logged: 0, foreign: [] };
  const all = Array.from({ length: clients }, (_, index) => {
    const token = tokens[Math.floor(index / 2) % tokens.length] ?? '';
    return new CollidingClient(new URL(origin), { modern: index % 2 === 0, token, errands, findings });
  });
  await Promise.all(all.map((client) => client.run(calls)));
  return findings;
}

interface Traits {
  readonly modern: boolean;
  readonly token: string;
  readonly errands: readonly Errand[];
  readonly findings: Findings;
}

class CollidingClient {
  private readonly url: URL;
  private readonly traits: Traits;
  private readonly findings: Findings;
  private readonly secret = randomBytes(16).toString('hex');
  private session = '';
  private connection: RawConnection | undefined;
  private stream: RawConnection | undefined;

  constructor(url: URL, traits: Traits) {
    this.url = url;
    this.traits = traits;
    this.findings = traits.findings;
  }

  async run(calls: number): Promise<void> {
    if (!this.traits.modern) await this.initialize();
    // ids start anew on every client: all of them collide
    for (let id = 1; id <= calls; id += 1) {
      if (this.traits.modern && id % LEAVE_EVERY === 0) await this.leave(id);
      const errand = this.traits.errands.find(({ every }) => id % every === 0);
      if (errand) await this.go(id, errand);
    }
    for (const text of this.stream?.events() ?? []) this.report(`its stream had ${text}`);
    this.stream?.close();
    this.connection?.close();
  }

  private async initialize(): Promise<void> {
    const params = { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const { headers } = await this.send({ id: 0, method: 'initialize', params });
    this.session = headers.get('mcp-session-id') ?? '';
    await this.send({ method: 'notifications/initialized' });
    this.stream = new RawConnection(this.url);
    await this.stream.write(this.head('GET', { accept: 'text/event-stream', ...this.identity() }));
    await this.stream.head();
  }

  private async go(id: number, { tool, args, text }: Errand): Promise<void> {
    const answer = await this.send(this.call(id, tool, args(this.secret)));
    this.check(answer, { id, text: text(this.secret) });
  }

  /** Closing the connection cancels this call, and none of those that have the same id. */
  private async leave(id: number): Promise<void> {
    const gone = new RawConnection(this.url);
    await gone.write(this.request(this.call(id, 'echo__slow', { ms: 60_000, steps: 1, label: this.secret })));
    await gone.firstByte();
    gone.close();
    this.findings.cancelled += 1;
  }

  private call(id: number, tool: string, args: object): object {
    const meta = {
      progressToken: 1,
      ...(this.traits.modern && {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/logLevel': 'info',
      }),
    };
    return { id, method: 'tools/call', params: { name: tool, arguments: args, _meta: meta } };
  }

  private check({ body, headers }: RawAnswer, { id, text }: { id: number; text: string }): void {
    const events = headers.get('content-type')?.startsWith('text/event-stream') === true;
    const messages = (events ? eventTexts(body) : [body]).map((one) => JSON.parse(one) as Message);
    const answers = messages.filter((message) => message.id === id && message.result?.content?.[0]?.text === text);
    const progress = messages.filter(
      ({ method, params }) =>
        method === 'notifications/progress' &&
        params?.progressToken === 1 &&
        params.message?.endsWith(this.secret) === true,
    );
    const lines = messages.filter(
      ({ method, params }) => method === 'notifications/message' && params?.data === this.secret,
    );
    this.findings.answered += answers.length;
    this.findings.progress += progress.length;
    this.findings.logged += lines.length;
    const own = answers.length + progress.length + lines.length;
    if (answers.length !== 1 || own !== messages.length) this.report(`got ${body}`);
  }

  private report(what: string): void {
    if (this.findings.foreign.length < 10) this.findings.foreign.push(`${this.secret} ${what}`);
  }

  private async send(message: object): Promise<RawAnswer> {
    this.connection ??= new RawConnection(this.url);
    await this.connection.write(this.request(message));
    return this.connection.answer();
  }

  private request(message: object): string {
    const { method, params } = message as { method: string; params?: { name?: string } };
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    const head = this.head('POST', {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'content-length': String(Buffer.byteLength(body)),
      ...(this.traits.modern && {
        'mcp-protocol-version': MODERN,
        'mcp-method': method,
        'mcp-name': params?.name ?? '',
      }),
      ...this.identity(),
    });
    return `${head}${body}`;
  }

  private identity(): Record<string, string> {
    return {
      ...(this.traits.token !== '' && { authorization: `Bearer ${this.traits.token}` }),
      ...(this.session !== '' && { 'mcp-protocol-version': LEGACY, 'mcp-session-id': this.session }),
    };
  }

  private head(verb: string, headers: Record<string, string>): string {
    const lines = Object.entries({ host: this.url.host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return `${verb} /mcp HTTP/1.1\r\n${lines.join('')}\r\n`;
  }
}
