// The gateway as `serve` composes it, in this process: real files, state, stages, reloading and HTTP front, with fakes at both ends only.
import { ALL_SERVERS, type Endpoint } from '../../../src/core/call.ts';
import type { FinalReply } from '../../../src/core/reply.ts';
import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { runGateway, type RunningGateway } from '../../../src/cli/run-gateway.ts';
import type { Config } from '../../../src/config/config.ts';
import { isLoopbackHost } from '../../../src/config/exposure.ts';
import { ConfigFolders } from '../../../src/config/folders.ts';
import { loadFrom } from '../../../src/config/load.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { type Exchange, ownExchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LOCAL, type Principal } from '../../../src/core/principal.ts';
import { createFront } from '../../../src/downstream/http.ts';
import { endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { listen } from '../../../src/downstream/http-servers.ts';
import type { CallRequest } from '../../../src/gateway/gateway.ts';
import type { Watcher } from '../../../src/gateway/watcher.ts';
import { type LogLine, openLogger } from '../../../src/telemetry/logger.ts';
import { type Workspace, workspace } from '../../integration/harness/gateway.ts';
import { messageOf, modern, type ModernOptions, send } from '../../integration/harness/raw.ts';
import { FakeServer, type FakeOptions } from './fake-server.ts';

/** A call as the log on disk has it: the fields of its intent, and those of its outcome where there is one. */
export interface CallRecord {
  readonly call: string;
  readonly method: string;
  readonly exposed?: string;
  readonly server?: string;
  readonly config: string;
  readonly decision: {
    readonly allowed: boolean;
    readonly rule: string;
    readonly reason: string;
    readonly source?: string;
  };
  /** Absent where there is no outcome. */
  readonly status?: string;
  readonly error?: string;
  readonly instance?: string;
}

export interface Answered {
  readonly status: number;
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: JsonObject };
}

/** What the watcher was told. */
export type Told = { readonly kind: string } & JsonObject;

export interface CompositionOptions {
  /** By the name of the server. */
  readonly servers?: Readonly<Record<string, FakeOptions>>;
  /** Put into the entry of a server, beside its URL; one without a fake server is all that stands here. */
  readonly entries?: Readonly<Record<string, object>>;
  readonly config?: object;
  readonly env?: NodeJS.ProcessEnv;
  /** Kept at the end, for the next that is started there. */
  readonly space?: Workspace;
}

interface DirectOptions {
  readonly exchange?: Exchange;
  readonly principal?: Principal;
  readonly endpoint?: Endpoint;
  readonly bytes?: number;
  /** Asked before an error is told, which waits for it. */
  readonly beforeError?: () => Promise<void>;
}

export class Composition {
  readonly fakes = new Map<string, FakeServer>();
  readonly log: LogLine[] = [];
  readonly told: Told[] = [];
  readonly news = new EventEmitter();
  space!: Workspace;
  folders!: ConfigFolders;
  running!: RunningGateway;
  /** `http://127.0.0.1:PORT` */
  origin!: string;
  private readonly options: CompositionOptions;
  private readonly endings: (() => Promise<void> | void)[] = [];
  private closed: Promise<void> | undefined;

  private constructor(options: CompositionOptions) {
    this.options = options;
  }

  /** Starts it, with every server met; it ends with the test, or by `close`. */
  static start(options: CompositionOptions = {}): Promise<Composition> {
    const composition = new Composition(options);
    onTestFinished(() => composition.close());
    return composition.open();
  }

  /** Starts one that several tests share; `close` ends it. */
  static startShared(options: CompositionOptions = {}): Promise<Composition> {
    return new Composition(options).open();
  }

  get gateway(): RunningGateway['gateway'] {
    return this.running.gateway;
  }

  fake(name = 's'): FakeServer {
    const fake = this.fakes.get(name);
    if (!fake) throw new Error(`there is no fake server ${name}`);
    return fake;
  }

  private async open(): Promise<this> {
    const { servers = {}, env = {}, space } = this.options;
    for (const [name, offer] of Object.entries(servers)) {
      const fake = await FakeServer.start(offer);
      this.endings.push(() => fake.stop());
      this.fakes.set(name, fake);
    }
    if (space) this.space = space;
    else {
      this.space = workspace({});
      this.endings.push(() => this.space.remove());
    }
    this.space.write('mcp-gateway.json', this.file());
    const folders = (this.folders = new ConfigFolders(this.space.config));
    const loaded = loadFrom(folders, { env, state: this.space.state });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { config } = loaded;
    const logger = await openLogger('debug', (line) => this.log.push(line));
    this.running = await runGateway({
      config,
      folders,
      warnings: [],
      stateDirectory: this.space.state,
      logger,
      env,
      bound: config.listen,
      watcher: this.watcher(),
    });
    this.endings.push(() => this.running.stop());
    await this.serve(config);
    this.gateway.start();
    await this.gateway.attempted();
    return this;
  }

  /** Bound to loopback whatever the configuration says: where it would be bound counts, not that it is. */
  private async serve({ listen: { host } }: Config): Promise<void> {
    const front = createFront({
      gateway: this.gateway,
      limits: endpointLimits(),
      network: { loopback: isLoopbackHost(host) },
    });
    const listening = await listen(front.listener, { host: '127.0.0.1', port: 0 });
    this.origin = listening.url;
    this.endings.push(async () => {
      listening.stop();
      await this.running.drain();
      await front.close();
      await listening.finish();
    });
  }

  close(): Promise<void> {
    return (this.closed ??= this.end());
  }

  private async end(): Promise<void> {
    for (const fake of this.fakes.values()) fake.release(); // or a call that is held is waited for
    for (const step of this.endings.reverse()) await step();
  }

  /** The configuration of the options, with what differs: entries of servers, and everything else at the top. */
  file({ entries = {}, config = {} }: Pick<CompositionOptions, 'entries' | 'config'> = {}): object {
    const all = { ...this.options.entries, ...entries };
    const names = new Set([...this.fakes.keys(), ...Object.keys(all)]);
    const mcpServers = Object.fromEntries(
      [...names].map((name) => [
        name,
        { url: this.fakes.get(name)?.url, ...this.options.entries?.[name], ...entries[name] },
      ]),
    );
    return { ...this.options.config, mcpServers, ...config };
  }

  /** Writes a configuration and has it read; resolves when it is in force or refused. */
  async reload(content: unknown): Promise<void> {
    this.space.write('mcp-gateway.json', content);
    await this.running.reload();
  }

  /** One modern request over HTTP. */
  async ask(method: string, params: JsonObject = {}, options: ModernOptions = {}): Promise<Answered> {
    const answer = await send(this.origin, modern(method, params, options));
    return { status: answer.status, ...(messageOf(answer) as Omit<Answered, 'status'>) };
  }

  /** One modern call that comes from no front: the only place that knows how a call is handed to the gateway. */
  direct(method: string, params: JsonObject = {}, options: DirectOptions = {}): Promise<FinalReply> {
    const { exchange = ownExchange(new Cancellation().signal), principal = LOCAL, bytes = 1 } = options;
    const { endpoint = ALL_SERVERS } = options;
    const request: CallRequest = {
      method,
      params,
      caller: { principal, endpoint, transport: 'streamable-http' },
      facts: { bytes },
      era: 'modern',
      revision: '2026-07-28',
      exchange,
    };
    return this.gateway.call<FinalReply>(request, {
      end: (reply) => reply,
      fail: async (error) => {
        await options.beforeError?.();
        throw error;
      },
    });
  }

  /** What `/readyz` says. */
  async ready(): Promise<{ readonly status: number } & JsonObject> {
    const answer = await send(this.origin, { method: 'GET', path: '/readyz' });
    return { ...(JSON.parse(answer.text) as JsonObject), status: answer.status };
  }

  /** Every call in the log, in the order of the intents. */
  records(): CallRecord[] {
    const calls = new Map<string, CallRecord>();
    for (const line of this.lines()) {
      const call = line.call as string;
      if (line.kind === 'intent') calls.set(call, line as unknown as CallRecord);
      // the intent's own fields stand: of the outcome, those that it alone has
      else if (line.kind === 'outcome') calls.set(call, { ...line, ...calls.get(call) } as CallRecord);
    }
    return [...calls.values()];
  }

  /** The last call in the log, of a method where one is given. */
  record(method?: string): CallRecord {
    const found = this.records().findLast((record) => method === undefined || record.method === method);
    if (!found) throw new Error('there is no such record');
    return found;
  }

  /** The events of a name in the log. */
  events(name: string): JsonObject[] {
    return this.lines().filter(({ kind, event }) => kind === 'event' && event === name);
  }

  /** Every line of the log. */
  lines(): JsonObject[] {
    const folder = join(this.space.state, 'audit');
    const text = readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name), 'utf8'));
    return text
      .join('')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as JsonObject);
  }

  /** From now on nothing can be written into the log, whose folder is in the way. */
  breakAudit(): void {
    const folder = join(this.space.state, 'audit');
    rmSync(folder, { recursive: true });
    writeFileSync(folder, 'in the way');
  }

  mendAudit(): void {
    rmSync(join(this.space.state, 'audit'));
  }

  /** From now on the state directory may be another gateway's. */
  loseState(): void {
    rmSync(join(this.space.state, 'lock.db'));
  }

  /** Whether a line of the program's log says this. */
  logged(text: string | RegExp): boolean {
    return this.log.some(({ msg = '' }) => (typeof text === 'string' ? msg.includes(text) : text.test(msg)));
  }

  /** Resolves when the watcher was told of so many things of a kind. */
  async toldOf(kind: string, count = 1): Promise<Told[]> {
    for (;;) {
      const told = this.told.filter((one) => one.kind === kind);
      if (told.length >= count) return told;
      await once(this.news, 'told');
    }
  }

  private watcher(): Watcher {
    const tell = (told: Told) => {
      this.told.push(told);
      this.news.emit('told');
    };
    return {
      event: (event, detail) => tell({ kind: 'event', event, detail }),
      serverChanged: (server) => tell({ kind: 'server', server }),
      callEnded: ({ call, status, reason }) =>
        tell({ kind: 'call', method: call.action, status, ...(reason !== undefined && { reason }) }),
      reloaded: ({ touched, again }) => tell({ kind: 'reloaded', touched: [...touched], again }),
    };
  }
}
