// A real HTTP front on a real port, before a gateway that is nothing but a handler of calls.
import { listen } from '../../src/downstream/listen.ts';
import { createFront } from '../../src/downstream/http.ts';
import { type JsonObject } from '../../src/core/json.ts';
import { LOCAL, type Principal } from '../../src/core/principal.ts';
import { type Reply } from '../../src/core/reply.ts';
import { type CallRequest } from '../../src/gateway/call-request.ts';
import { Changes } from '../../src/gateway/changes.ts';
import { type Gateway } from '../../src/gateway/gateway.ts';
import { GatewayError } from '../../src/core/errors.ts';

export type CallHandler = (request: CallRequest) => Promise<Reply>;

/** The parts of a gateway that fronts use. Tokens are the ids of principals; without one it is the local one. */
export function stubGateway(call: CallHandler, limits: { sessions?: number } = {}): Gateway {
  const authenticate = (authorization: string | undefined): Principal => {
    if (authorization === undefined) return LOCAL;
    const id = authorization.replace('Bearer ', '');
    if (id === 'wrong') throw new GatewayError('unauthenticated', 'The token is wrong.');
    return { ...LOCAL, id };
  };
  const stub = {
    identity: { name: 'stub', version: '1' },
    changes: new Changes(),
    logger: { error: (...given: unknown[]) => console.error(...given) },
    snapshot: {
      config: {
        limits: { body: 1 << 20, depth: 64, sessions: 100, ...limits },
        listen: { allowedHosts: [], allowedOrigins: [] },
      },
      authenticate,
      privateLists: true,
    },
    record: () => undefined,
    declare: () => ({ capabilities: { tools: {}, logging: {} } }),
    unfollow: () => undefined,
    call,
  };
  return stub as unknown as Gateway;
}

export interface StubFront {
  readonly origin: string;
  readonly gateway: Gateway;
  close(): Promise<void>;
}

/** Serves until `close`. */
export async function startFront(
  call: CallHandler,
  { limits, ...options }: { limits?: { sessions?: number } } & Partial<Parameters<typeof createFront>[0]> = {},
): Promise<StubFront> {
  const gateway = stubGateway(call, limits);
  const front = createFront({ gateway, network: { loopback: true }, ...options });
  const listening = await listen(front.listener, { host: '127.0.0.1', port: 0 });
  return {
    origin: listening.url,
    gateway,
    close: async () => {
      front.close();
      await listening.finish();
    },
  };
}

/** A result that says one thing. */
export function said(text: string): Reply {
  return { kind: 'result', result: { content: [{ type: 'text', text }] } };
}

/** The arguments of a tools/call. */
export function argumentsOf(request: CallRequest): JsonObject {
  return (request.params.arguments ?? {}) as JsonObject;
}
