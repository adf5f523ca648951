// A modern client that knows tasks, in bare requests, and the servers with tasks that it may meet.
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import { fixture, type RunningGateway, openGateway, type Workspace } from './gateway.ts';
import { ALICE, BOB, AUTH } from './principals.ts';
import { errorOf, type EventStream, modern, resultOf, type Sent, send, stream } from './raw.ts';
import { startServer } from './servers.ts';
import { until } from './status.ts';

const EXTENSION = 'io.modelcontextprotocol/tasks';
/** What a client declares that knows tasks and can be asked. */
export const KNOWS_TASKS = { elicitation: { form: {} }, extensions: { [EXTENSION]: {} } };
/** The key under which a message of 2025-11-25 names its task. */
export const RELATED = 'io.modelcontextprotocol/related-task';

export interface TaskCallOptions {
  readonly token?: string;
  readonly path?: string;
  readonly capabilities?: JsonObject;
}

/** Sends requests of one principal to one endpoint, each on a connection of its own. */
export class TaskClient {
  private readonly origin: string;
  private readonly options: TaskCallOptions;

  constructor(origin: string, options: TaskCallOptions = {}) {
    this.origin = origin;
    this.options = options;
  }

  /** The same client, but for what the options change. */
  with(options: TaskCallOptions): TaskClient {
    return new TaskClient(this.origin, { ...this.options, ...options });
  }

  /** The result, or `{ error }`, with the HTTP status. */
  async ask(method: string, params: JsonObject = {}): Promise<JsonObject> {
    const answer = await send(this.origin, this.request(method, params));
    const error = errorOf(answer);
    return { ...resultOf(answer), ...(error.code !== undefined && { error }), http: answer.status };
  }

  call(name: string, given: JsonObject = {}): Promise<JsonObject> {
    return this.ask('tools/call', { name, arguments: given });
  }

  /** Calls a tool that is to become a task, and gives the id. */
  async begin(name: string, given: JsonObject = {}): Promise<string> {
    const created = await this.call(name, given);
    if (created.resultType !== 'task') throw new Error(`no task: ${JSON.stringify(created)}`);
    return created.taskId as string;
  }

  get(taskId: string): Promise<JsonObject> {
    return this.ask('tasks/get', { taskId });
  }

  /** The task as soon as it has this status; a poll is a round trip. */
  async until(taskId: string, status: string): Promise<JsonObject> {
    return until(
      () => this.get(taskId),
      (task) => task.status === status,
    );
  }

  /** Listens for news of tasks. */
  listen(taskIds: readonly string[], more: JsonObject = {}): Promise<EventStream> {
    return stream(
      this.origin,
      this.request('subscriptions/listen', { notifications: { taskIds: [...taskIds], ...more } }),
    );
  }

  private request(method: string, params: JsonObject): Sent {
    const { token = ALICE, path = '/mcp', capabilities = KNOWS_TASKS } = this.options;
    return modern(method, params, {
      path,
      id: `${method} of ${token.slice(0, 5)}`,
      headers: { Authorization: `Bearer ${token}` },
      meta: { 'io.modelcontextprotocol/clientCapabilities': capabilities },
    });
  }
}

/** The text of a result of a tool, inlined or not. */
export function textOf(result: unknown): string {
  const { content } = isObject(result) ? result : {};
  const [block] = Array.isArray(content) ? content : [];
  return isObject(block) && typeof block.text === 'string' ? block.text : '';
}

/** Starts a gateway for both principals with these servers; in a space that outlives it where one is given. */
export async function startTaskGateway(mcpServers: object, space?: Workspace): Promise<RunningGateway> {
  const config = { auth: AUTH, mcpServers };
  space?.write('mcp-gateway.json', config);
  const gateway = await openGateway({
    ...(space ? { space } : { config }),
    args: ['--log-level', 'warn'],
    env: { ALICE, BOB },
  });
  await gateway.attempted();
  return gateway;
}

/** The servers with tasks, by the era of their tasks and how they are reached. */
export const TASK_SERVERS = ['modern_http', 'modern_stdio', 'legacy_http', 'legacy_sse', 'legacy_stdio'] as const;

export interface TaskServers {
  readonly gateway: RunningGateway;
  stop(): Promise<void>;
}

/** Starts a gateway with all of them, with two whose tasks have the same ids (`one`, `two`), and with one that has none (`plain`). */
export async function startTaskServers(): Promise<TaskServers> {
  const modern = 'conformance-modern.ts';
  const legacy = 'conformance-legacy.ts';
  const servers = await Promise.all([
    startServer(modern),
    startServer(legacy),
    startServer(legacy, '--transport', 'sse'),
    startServer(modern, '--count-tasks'),
    startServer(modern, '--count-tasks'),
  ]);
  const [http, legacyHttp, sse, one, two] = servers.map(({ url }) => ({ url }));
  const gateway = await startTaskGateway({
    modern_http: http,
    modern_stdio: fixture(modern, '--transport', 'stdio'),
    legacy_http: legacyHttp,
    legacy_sse: { ...sse, type: 'sse' },
    legacy_stdio: fixture(legacy, '--transport', 'stdio'),
    one,
    two,
    plain: fixture('echo-stdio.ts'),
  });
  return {
    gateway,
    stop: async () => {
      await gateway.stop();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** The records of calls and events, the newest first. */
export async function recordsOf(gateway: RunningGateway, ...filter: string[]): Promise<JsonObject[]> {
  const { stdout } = await gateway.cli('audit', 'query', '--json', '--limit', '1000', ...filter);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonObject);
}

/** The eras of the client and of the server in the record of a call. */
export function erasOfRecord({ downstream, upstream }: JsonObject): string {
  const eraOf = (side: unknown) => (isObject(side) && typeof side.era === 'string' ? side.era : '?');
  return `${eraOf(downstream)} ${eraOf(upstream)}`;
}
