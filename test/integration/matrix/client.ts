// A client of any kind as the features see it: it answers questions, keeps what it hears, and follows changes as its era does.
import { type CallToolResult, Client as ClientV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ProgressNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { within } from '../../../src/core/cancellation.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Level } from '../../../fixtures/servers/tool.ts';
import { type ClientKind, isSse, type Place, transportV1, transportV2 } from '../harness/clients.ts';
import { bounded, Heard } from './heard.ts';

const CAPABILITIES = { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } };
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

export interface CallOptions {
  readonly progressToken?: string;
  readonly signal?: AbortSignal;
}

/** A connected client. `sdk` has the calls that are the same in both generations. */
export class MatrixClient {
  readonly sdk: ClientV2;
  readonly modern: boolean;
  readonly heard = new Heard();
  /** The questions that it was asked, as JSON. */
  readonly asked: string[] = [];
  /** The one root that it has. */
  root = 'file:///first';
  private logLevel: Level | undefined;

  private readonly callTool: ClientV2['callTool'];

  constructor(sdk: ClientV2 | ClientV1, modern: boolean) {
    this.sdk = sdk as ClientV2; // the calls that features make are the same in both, but for one
    this.callTool =
      sdk instanceof ClientV1
        ? async (params, options) => (await sdk.callTool(params, undefined, options)) as CallToolResult
        : (params, options) => sdk.callTool(params, options);
    this.modern = modern;
  }

  async call(
    name: string,
    args: JsonObject = {},
    { progressToken, signal }: CallOptions = {},
  ): Promise<CallToolResult> {
    const level = this.modern ? this.logLevel : undefined;
    const meta = { ...(progressToken !== undefined && { progressToken }), ...(level && { [LOG_LEVEL]: level }) };
    const params = { name, arguments: args, _meta: meta };
    return await this.callTool(params, signal && { signal });
  }

  /** Wants log lines of this level and worse from now on. */
  async setLogLevel(level: Level): Promise<void> {
    this.logLevel = level;
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- what is deprecated is still deployed
    if (!this.modern) await this.sdk.setLoggingLevel(level);
  }

  /** Follows the list of tools; resolves with the way to stop. */
  async followTools(): Promise<() => Promise<void>> {
    return this.modern ? await this.listen({ toolsListChanged: true }) : () => Promise.resolve();
  }

  /** Follows a resource; resolves with the way to stop. */
  async follow(uri: string): Promise<() => Promise<void>> {
    if (this.modern) return await this.listen({ resourceSubscriptions: [uri] });
    await this.sdk.subscribeResource({ uri });
    return async () => {
      await this.sdk.unsubscribeResource({ uri });
    };
  }

  /** What it answers to a question; a form whose message says so is declined. */
  answer(method: string, params: JsonObject): JsonObject {
    const asked = JSON.stringify(params);
    this.asked.push(asked);
    if (method === 'roots/list') return { roots: [{ uri: this.root, name: 'root' }] };
    if (method === 'elicitation/create') {
      if (asked.includes('decline')) return { action: 'decline' };
      return {
        action: 'accept',
        content: { color: `red ${typeof params.message === 'string' ? params.message : ''}` },
      };
    }
    const label = /"text":"([^"]*)"/.exec(asked)?.[1] ?? '';
    return { model: 'a model', role: 'assistant', content: { type: 'text', text: `sampled ${label}` } };
  }

  close(): Promise<void> {
    return this.sdk.close();
  }

  private async listen(filter: Parameters<ClientV2['listen']>[0]): Promise<() => Promise<void>> {
    const subscription = await this.sdk.listen(filter);
    return () => subscription.close();
  }
}

/** How long a client waits for its stream where it may do without: some servers send nothing, not even headers, before the first event. */
const STREAM_MS = 1_000;

/** Connects; over legacy Streamable HTTP it is connected when its stream is open. Throws what the SDK throws. */
export async function connectMatrixClient(
  kind: ClientKind,
  place: Place,
  { needsStream = true }: { needsStream?: boolean } = {},
): Promise<MatrixClient> {
  const opened = Promise.withResolvers<undefined>();
  const streamable = 'url' in place && !isSse(place);
  const watched = streamable ? { ...place, fetch: tellingOfStreams(() => opened.resolve(undefined)) } : place;
  const client = await bounded(kind === 'SDK v1' ? connectV1(watched) : connectV2(kind, watched), 'a connection');
  if (client.modern || !streamable) return client;
  if (needsStream) await bounded(opened.promise, 'the stream of the session');
  else await within(opened.promise, STREAM_MS);
  return client;
}

/** Tells when a stream that was asked for with GET is open, or refused. */
function tellingOfStreams(opened: () => void): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (init?.method === 'GET') opened();
    return response;
  };
}

const INFO = { name: 'matrix', version: '1.0.0' };

async function connectV1(place: Place): Promise<MatrixClient> {
  const sdk = new ClientV1(INFO, { capabilities: CAPABILITIES });
  const client = new MatrixClient(sdk, false);
  for (const schema of [ElicitRequestSchema, CreateMessageRequestSchema, ListRootsRequestSchema]) {
    sdk.setRequestHandler(schema, ({ method, params }) => client.answer(method, { ...params } as JsonObject));
  }
  for (const schema of [
    ProgressNotificationSchema,
    LoggingMessageNotificationSchema,
    ToolListChangedNotificationSchema,
    ResourceUpdatedNotificationSchema,
  ]) {
    sdk.setNotificationHandler(schema, ({ method, params }) =>
      client.heard.add({ method, params: { ...params } as JsonObject }),
    );
  }
  await sdk.connect(transportV1(place));
  return client;
}

async function connectV2(kind: ClientKind, place: Place): Promise<MatrixClient> {
  const modern = kind === 'SDK v2 modern';
  const mode = modern ? 'auto' : 'legacy';
  const sdk = new ClientV2(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode } });
  const client = new MatrixClient(sdk, modern);
  for (const asked of ['elicitation/create', 'sampling/createMessage', 'roots/list'] as const) {
    sdk.setRequestHandler(
      asked,
      ({ method, params }) => client.answer(method, { ...params } as JsonObject) as never, // each method's own shape
    );
  }
  for (const told of [
    'notifications/progress',
    'notifications/message',
    'notifications/tools/list_changed',
    'notifications/resources/updated',
  ] as const) {
    sdk.setNotificationHandler(told, ({ method, params }) =>
      client.heard.add({ method, params: { ...params } as JsonObject }),
    );
  }
  await sdk.connect(transportV2(place));
  return client;
}
