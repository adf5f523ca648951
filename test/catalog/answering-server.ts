// A server within the process of its client: it answers with what it is given, to the deployed clients of each kind.
import { Client as ClientV2, type JSONRPCMessage, type Transport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import type { JsonObject } from '../../src/core/json.ts';
import type { Answer } from '../../src/downstream/mcp/encode.ts';
import type { Era } from '../../src/core/call.ts';

const CAPABILITIES = { tools: {}, prompts: {}, resources: {} };
const SERVER = { name: 'answering', version: '1.0.0' };

export interface AnsweredClient {
  readonly kind: string;
  readonly era: Era;
  readonly client: ClientV2;
}

/** What the server says to a request other than those of a handshake. */
export type Answering = (request: { id: number; method: string; era: Era }) => Pick<Answer, 'text'>;

interface Message {
  readonly id?: number;
  readonly method: string;
  readonly params?: JsonObject;
}

/** Connects a client of every kind to a server that says what `answer` says. */
export async function connectAll(answer: Answering): Promise<AnsweredClient[]> {
  const v1 = new ClientV1({ name: 'v1', version: '1.0.0' });
  const v2 = new ClientV2({ name: 'v2', version: '1.0.0' });
  const modern = new ClientV2({ name: 'modern', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await v1.connect(transport('legacy', answer));
  await v2.connect(transport('legacy', answer));
  await modern.connect(transport('modern', answer));
  return [
    { kind: 'SDK v1', era: 'legacy', client: v1 as unknown as ClientV2 },
    { kind: 'SDK v2 legacy', era: 'legacy', client: v2 },
    { kind: 'SDK v2 modern', era: 'modern', client: modern },
  ];
}

function transport(era: Era, answer: Answering): Transport {
  const own: Transport = {
    start: () => Promise.resolve(),
    close: () => Promise.resolve(),
    send: (sent: unknown) => {
      const { id, method, params } = sent as Message;
      if (id === undefined) return Promise.resolve();
      const result = handshake(method, params);
      const text = result ? JSON.stringify({ jsonrpc: '2.0', id, result }) : answer({ id, method, era }).text;
      queueMicrotask(() => own.onmessage?.(JSON.parse(text) as JSONRPCMessage));
      return Promise.resolve();
    },
  };
  return own;
}

function handshake(method: string, params: JsonObject | undefined): JsonObject | undefined {
  if (method === 'initialize')
    return { protocolVersion: params?.protocolVersion ?? '', capabilities: CAPABILITIES, serverInfo: SERVER };
  if (method !== 'server/discover') return undefined;
  return {
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: CAPABILITIES,
    ttlMs: 0,
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': SERVER },
  };
}
