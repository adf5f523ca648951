// Starts a real HTTP front on a real port, with a stub gateway that only handles calls.
import { listen } from '../../src/downstream/http-servers.ts';
import { createFront } from '../../src/downstream/http.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { type EndpointLimits, endpointLimits } from '../../src/downstream/mcp/limits.ts';
import { LOCAL, type Principal } from '../../src/core/principal.ts';
import type { Reply } from '../../src/core/reply.ts';
import { buildCall, type CallRequest, type Gateway } from '../../src/gateway/gateway.ts';
import { type ChangeListener, Changes } from '../../src/gateway/changes.ts';
import { deliver, type Sink } from '../../src/gateway/pipeline.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { emptyContext } from '../audit/bare-call.ts';

export type CallHandler = (request: CallRequest) => Promise<Reply>;

interface StubOptions {
  readonly sessions?: number | undefined;
  readonly changes?: Changes;
}

/** The parts of a gateway that fronts use. Tokens are the ids of principals; without one the caller is `local`. */
export function stubGateway(call: CallHandler, { sessions = 100, changes = new Changes() }: StubOptions = {}): Gateway {
  const authenticate = (authorization: string | undefined): Principal => {
    if (authorization === undefined) return LOCAL;
    const id = authorization.replace('Bearer ', '');
    if (id === 'wrong') throw new GatewayError('unauthenticated', 'The token is wrong.');
    return { ...LOCAL, id };
  };
  const ending = new Cancellation().signal;
  const stub = {
    identity: { name: 'stub', version: '1' },
    onListsChanged: (listener: ChangeListener) => changes.subscribe(listener, new Set()),
    wantLogLevel: () => undefined,
    logger: { error: (...given: unknown[]) => console.error(...given) },
    snapshot: {
      config: {
        limits: { body: 1 << 20, depth: 64, sessions },
        auth: { tokens: [] },
        listen: { allowedHosts: [], allowedOrigins: [] },
      },
      authenticate,
      privateLists: true,
    },
    record: () => undefined,
    declare: () => ({ capabilities: { tools: {}, logging: {} } }),
    prepare: () => undefined,
    refused: () => undefined,
    unsubscribe: () => undefined,
    call: <Last>(request: CallRequest, sink: Sink<Last>) =>
      deliver(buildCall(request), { ctx: emptyContext(), handle: () => call(request), ending, sink }),
  };
  return stub as unknown as Gateway;
}

export interface StubFront {
  readonly origin: string;
  readonly gateway: Gateway;
  /** Notifies the sessions of the clients. */
  readonly changes: Changes;
  /** How many requests came with a Last-Event-ID. */
  resumed(): number;
  close(): Promise<void>;
}

/** Serves until `close`. */
export async function startFront(
  call: CallHandler,
  { sessions, limits = endpointLimits() }: { sessions?: number; limits?: EndpointLimits } = {},
): Promise<StubFront> {
  const changes = new Changes();
  const gateway = stubGateway(call, { sessions, changes });
  const front = createFront({ gateway, limits, network: { loopback: true } });
  let resumed = 0;
  const listening = await listen(
    (request, response) => {
      if (request.headers['last-event-id'] !== undefined) resumed += 1;
      front.listener(request, response);
    },
    { host: '127.0.0.1', port: 0 },
  );
  return {
    origin: listening.url,
    gateway,
    changes,
    resumed: () => resumed,
    close: async () => {
      await front.close();
      await listening.finish();
    },
  };
}

/** A result with one text. */
export function said(text: string): Reply {
  return { kind: 'result', result: { content: [{ type: 'text', text }] } };
}

/** The arguments of a tools/call. */
export function argumentsOf(request: CallRequest): JsonObject {
  return (request.params.arguments ?? {}) as JsonObject;
}
