// A server at the upstream end that a test plays: a modern one over Streamable HTTP, whose offer is lists of names.
import { EventEmitter, once } from 'node:events';
import type { JsonObject } from '../../../src/core/json.ts';
import {
  answer,
  modern,
  openEvents,
  said,
  type ScriptedServer,
  startScripted,
  tool,
  type Visit,
} from '../../integration/harness/scripted.ts';

export interface Offer {
  readonly tools?: readonly (string | JsonObject)[];
  readonly prompts?: readonly string[];
  readonly resources?: readonly string[];
  readonly templates?: readonly string[];
}

export interface FakeOptions extends Offer {
  /** Asked first; answers what it wants to. */
  readonly script?: (visit: Visit, fake: FakeServer) => JsonObject | undefined;
}

type Say = (message: JsonObject) => void;

const CAPABILITIES: JsonObject = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  extensions: { 'io.modelcontextprotocol/tasks': {} },
};

const LISTED: JsonObject = { resultType: 'complete', ttlMs: 0, cacheScope: 'public' };

/** Tools of these beginnings behave so: `hold` waits for `release`, `task` becomes a task, `fail` is an error of the tool. */
export class FakeServer {
  offer: Offer;
  private readonly script: NonNullable<FakeOptions['script']>;
  private readonly listeners = new Set<Say>();
  private readonly held = new Set<Visit>();
  private readonly news = new EventEmitter();
  private server!: ScriptedServer;

  static async start(options: FakeOptions): Promise<FakeServer> {
    const fake = new FakeServer(options);
    const script = modern(
      () => (fake.offer.tools ?? []).map((one) => (typeof one === 'string' ? tool(one) : one)),
      (visit) => fake.script(visit, fake) ?? (visit.response.headersSent ? undefined : fake.serve(visit)),
      CAPABILITIES,
    );
    fake.server = await startScripted(script);
    return fake;
  }

  private constructor({ script = () => undefined, ...offer }: FakeOptions) {
    this.offer = offer;
    this.script = script;
  }

  get url(): string {
    return this.server.url;
  }

  /** Requests that calls of clients led to: neither lists nor what the gateway asks for itself. */
  get calls(): readonly Visit[] {
    return this.server.seen.filter(({ rpc }) =>
      /^(tools\/call|prompts\/get|resources\/read|completion|tasks)/.test(rpc),
    );
  }

  /** Resolves when so many calls are held. */
  async holds(count: number): Promise<void> {
    while (this.held.size < count) await once(this.news, 'held');
  }

  /** Resolves when no call is held any more: each was answered, or taken back. */
  async holdsNone(): Promise<void> {
    while (this.held.size > 0) await once(this.news, 'left');
  }

  /** Every time that the gateway asked to be told of changes. */
  get listenings(): readonly Visit[] {
    return this.server.seen.filter(({ rpc }) => rpc === 'subscriptions/listen');
  }

  /** How many requests and notifications of a method came. */
  count(rpc: string): number {
    return this.server.count(rpc);
  }

  async nextListening(): Promise<void> {
    await once(this.news, 'listening');
  }

  /** Resolves with the next request of a method, past or to come. */
  visited(rpc: string, wanted: (visit: Visit) => boolean = () => true): Promise<Visit> {
    return this.server.visited((visit) => visit.rpc === rpc && wanted(visit));
  }

  /** Answers every call that is held. */
  release(text = 'released'): void {
    for (const visit of this.held) answer(visit, said(text));
    this.held.clear();
  }

  /** Resolves when the gateway listens, so that nothing that is told is missed. */
  async listening(): Promise<void> {
    while (this.listeners.size === 0) await once(this.news, 'listening');
  }

  /** Resolves when the gateway listens no longer. */
  async left(): Promise<void> {
    while (this.listeners.size > 0) await once(this.news, 'left');
  }

  /** Tells the gateway something on the streams on which it listens. */
  notify(method: string, params: JsonObject = {}): void {
    for (const say of this.listeners) say({ method, params });
  }

  async stop(): Promise<void> {
    this.release();
    await this.server.stop();
  }

  private serve(visit: Visit): JsonObject | undefined {
    const { rpc, params } = visit;
    const { prompts = [], resources = [], templates = [] } = this.offer;
    switch (rpc) {
      case 'tools/call':
        return this.callTool(visit, params.name as string);
      case 'prompts/list':
        return { ...LISTED, prompts: prompts.map((name) => ({ name })) };
      case 'resources/list':
        return { ...LISTED, resources: resources.map((uri) => ({ uri, name: uri })) };
      case 'resources/templates/list':
        return { ...LISTED, resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })) };
      case 'prompts/get':
        if (prompts.includes(params.name as string)) return { resultType: 'complete', messages: [] };
        notOffered(visit);
        return undefined;
      case 'resources/read':
        return { ...LISTED, contents: [{ uri: params.uri ?? null, text: 'read' }] };
      case 'completion/complete':
        return { resultType: 'complete', completion: { values: ['one'] } };
      case 'tasks/get':
        return { ...standing(params.taskId as string), resultType: 'complete' };
      case 'tasks/cancel':
      case 'tasks/update':
        return { resultType: 'complete' };
      case 'subscriptions/listen':
        this.listen(visit);
        return undefined;
      default:
        return undefined;
    }
  }

  private callTool(visit: Visit, name: string): JsonObject | undefined {
    const names = (this.offer.tools ?? []).map((one) => (typeof one === 'string' ? one : one.name));
    if (!names.includes(name)) {
      notOffered(visit);
      return;
    }
    if (name.startsWith('task')) return { ...standing(`${name}-1`), resultType: 'task' };
    if (name.startsWith('fail')) return { ...said('it failed'), isError: true };
    if (!name.startsWith('hold')) return said(name);
    this.held.add(visit);
    visit.response.on('close', () => {
      this.held.delete(visit);
      this.news.emit('left');
    });
    this.news.emit('held');
    return undefined;
  }

  private listen(visit: Visit): void {
    const say = openEvents(visit);
    const _meta = { 'io.modelcontextprotocol/subscriptionId': visit.id ?? null };
    const send: Say = ({ method, params }) => say({ method, params: { ...(params as JsonObject), _meta } });
    visit.response.on('close', () => {
      this.listeners.delete(send);
      this.news.emit('left');
    });
    send({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: visit.params.notifications ?? {} },
    });
    this.listeners.add(send);
    this.news.emit('listening');
  }
}

/** Names of the gateway's own mean nothing here. */
function notOffered({ id, response }: Visit): void {
  const error = { code: -32602, message: 'the fake server has nothing of this name' };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, error }));
}

/** A task of a server of 2026-07-28 that works. */
export function standing(taskId: string): JsonObject {
  const now = '2026-07-28T00:00:00Z';
  return { taskId, status: 'working', createdAt: now, lastUpdatedAt: now, ttlMs: 60_000 };
}
