// Reading everything that a server offers: all pages of all lists that it declares.
import { EMPTY_OFFER, type ServerOffer } from '../../catalog/offer.ts';
import { type OfferKind } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { LIST_KEYS } from '../../protocol/mcp/methods.ts';
import { type Connection } from './connection.ts';

/** Bounds of one list: pages read, entries kept, bytes in all (wire.md, What the gateway offers). */
const MAX_PAGES = 1_000;
const MAX_ENTRIES = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;

const LISTS: readonly { kind: OfferKind; method: string; capability: string }[] = [
  { kind: 'tool', method: 'tools/list', capability: 'tools' },
  { kind: 'prompt', method: 'prompts/list', capability: 'prompts' },
  { kind: 'resource', method: 'resources/list', capability: 'resources' },
  { kind: 'resourceTemplate', method: 'resources/templates/list', capability: 'resources' },
];

/** Reads the whole offer of a connected server. Throws GatewayError where a declared list cannot be read. */
export async function readOffer(connection: Connection, totalMs: number): Promise<ServerOffer> {
  const { capabilities, serverInfo, instructions } = connection.handshake;
  const lists = LISTS.filter((list) => isObject(capabilities[list.capability]));
  const read = await Promise.all(
    lists.map(async (list) => [list.kind, await readList(connection, list, totalMs)] as const),
  );
  return {
    capabilities,
    ...(serverInfo && { serverInfo }),
    ...(instructions !== undefined && { instructions }),
    entries: { ...EMPTY_OFFER.entries, ...Object.fromEntries(read) },
  };
}

async function readList(connection: Connection, list: (typeof LISTS)[number], totalMs: number): Promise<JsonObject[]> {
  const entries: JsonObject[] = [];
  const cursors = new Set<string>();
  let cursor: string | undefined;
  let bytes = 0;
  for (let page = 0; page < MAX_PAGES; page++) {
    const reply = await connection.request({
      method: list.method,
      params: cursor === undefined ? {} : { cursor },
      totalMs,
    });
    if (reply.error?.code === -32601) return []; // declared, but without templates or the like
    if (!reply.result) throw unreadable(connection, list.method, reply.error?.message ?? 'no result');
    bytes += reply.bytes;
    entries.push(...entriesOf(reply.result, LIST_KEYS[list.kind]));
    const next = reply.result.nextCursor;
    if (typeof next !== 'string') return entries;
    if (cursors.has(next)) throw unreadable(connection, list.method, 'its pages run in a circle');
    if (entries.length > MAX_ENTRIES || bytes > MAX_BYTES)
      throw unreadable(connection, list.method, `it has more than ${MAX_ENTRIES} entries or ${MAX_BYTES} bytes`);
    cursors.add(next);
    cursor = next;
  }
  throw unreadable(connection, list.method, `it has more than ${MAX_PAGES} pages`);
}

/** Entries that are objects with a usable name; what else stands in the list cannot be offered to anyone. */
function entriesOf(result: JsonObject, key: string): JsonObject[] {
  const list = result[key];
  if (!Array.isArray(list)) return [];
  return list.filter((entry): entry is JsonObject => isObject(entry) && nameOf(entry) !== undefined);
}

function nameOf(entry: JsonObject): string | undefined {
  const name = entry.uri ?? entry.uriTemplate ?? entry.name;
  return typeof name === 'string' && name !== '' && name.length <= 4096 ? name : undefined;
}

function unreadable(connection: Connection, method: string, why: string): GatewayError {
  const name = connection.instance.split('#')[0] ?? '';
  return new GatewayError(
    'upstream_protocol',
    `${method} of the server "${name}" cannot be read: ${why.slice(0, 300)}`,
  );
}
