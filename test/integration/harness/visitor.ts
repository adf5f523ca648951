// Somebody who sends requests, and what comes back.
import type { JsonObject } from '../../../src/core/json.ts';
import type { RunningGateway } from './gateway.ts';
import { type Answer, type HeaderList, modern, send, type Sent } from './raw.ts';

/** Somebody who sends requests; each cell has an address of its own, so that its records can be told apart. */
export interface Visitor {
  readonly principal: string;
  /** Absent where no token is sent at all. */
  readonly token?: string;
  /** The name that the client says it has. */
  readonly client: string;
  readonly address: string;
}

/** No header at all is what an anonymous caller sends, also where the owner's session has one. */
export const identity = ({ token }: Visitor): HeaderList => ({
  Authorization: token === undefined ? [] : `Bearer ${token}`,
});

interface Request {
  readonly method: string;
  readonly params: JsonObject;
  readonly id?: string;
  readonly meta?: JsonObject;
}

/** A modern request of somebody. */
export function request(by: Visitor, { method, params, id, meta }: Request): Sent {
  const info = { 'io.modelcontextprotocol/clientInfo': { name: by.client, version: '1' } };
  const options = { ...(id !== undefined && { id }), headers: { ...identity(by) }, meta: { ...info, ...meta } };
  return { ...modern(method, params, options), from: by.address };
}

/** A call of a tool. */
export function callTool(by: Visitor, params: JsonObject, meta: JsonObject = {}): Sent {
  return request(by, { method: 'tools/call', params, meta });
}

/** What a client sees of an answer, but for the time of day. */
function seen({ status, headers: { date: _date, ...headers }, text }: Answer) {
  return { status, headers, text };
}

/** Sends a request; resolves with what a client sees of the answer. */
export async function use(gateway: RunningGateway, sent: Sent) {
  return seen(await send(gateway.origin, sent));
}
