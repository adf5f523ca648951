// Reads the offer of a server: all pages of all lists that it declares.
import { EMPTY_OFFER, type ServerOffer } from '../../../catalog/offer.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { OfferKind } from '../../../core/call.ts';
import { GatewayError } from '../../../core/errors.ts';
import { isObject, type JsonObject, numberOf } from '../../../core/json.ts';
import { LIST_KEYS } from '../../../protocol/mcp/vocabulary.ts';
import type { Connection } from '../connect/connection.ts';

/** Failures that concern one list and not the others. */
const OF_THE_LIST = new Set<string>(['upstream_protocol', 'upstream_message_too_large']);

interface List {
  readonly kind: OfferKind;
  readonly method: string;
  readonly capability: string;
  readonly most: number;
}

const LISTS: readonly List[] = [
  { kind: 'tool', method: 'tools/list', capability: 'tools', most: BOUNDS.offerEntries },
  { kind: 'prompt', method: 'prompts/list', capability: 'prompts', most: BOUNDS.offerEntries },
  { kind: 'resource', method: 'resources/list', capability: 'resources', most: BOUNDS.offerEntries },
  {
    kind: 'resourceTemplate',
    method: 'resources/templates/list',
    capability: 'resources',
    most: BOUNDS.offerTemplates,
  },
];

/** What was read, and which lists could not be. */
export interface OfferReading {
  readonly offer: ServerOffer;
  readonly problems: readonly string[];
  /** How long the offer holds, in ms; Infinity if the server notifies of changes. */
  readonly freshMs: number;
}

/**
 * Reads the whole offer of a connected server. A declared list that breaks the rules keeps its entries of `last` and is named among the
 * problems. Throws GatewayError if the server does not answer.
 */
export async function readOffer(
  connection: Connection,
  totalMs: number,
  last: ServerOffer | undefined,
): Promise<OfferReading> {
  const { capabilities, serverInfo, instructions } = connection.handshake;
  const lists = LISTS.filter((list) => isObject(capabilities[list.capability]));
  const problems: string[] = [];
  const hints: Hints[] = [];
  const read = await Promise.all(
    lists.map(async (list) => {
      try {
        const { entries, tooLarge, ttlMs, isPrivate } = await readList(connection, list, totalMs);
        const declared = capabilities[list.capability];
        const notifies = connection.era === 'legacy' || (isObject(declared) && declared.listChanged === true);
        hints.push({ ttlMs: notifies ? Infinity : ttlMs, isPrivate });
        if (tooLarge > 0)
          problems.push(
            `entries of ${list.method} that are over ${BOUNDS.offerEntryBytes} bytes are not offered: ${tooLarge}`,
          );
        return [list.kind, entries] as const;
      } catch (error) {
        if (!(error instanceof GatewayError) || !OF_THE_LIST.has(error.code)) throw error;
        problems.push(error.message);
        return [list.kind, last?.entries[list.kind] ?? []] as const;
      }
    }),
  );
  const offer = {
    capabilities,
    ...(serverInfo && { serverInfo }),
    ...(instructions !== undefined && { instructions }),
    ...(hints.some(({ isPrivate }) => isPrivate) && { private: true as const }),
    entries: { ...EMPTY_OFFER.entries, ...Object.fromEntries(read) },
  };
  return { offer, problems, freshMs: Math.min(...hints.map(({ ttlMs }) => ttlMs)) };
}

/** How long a list holds, in ms, and whether it may differ for other clients (2026-07-28 server/utilities/caching). */
interface Hints {
  readonly ttlMs: number;
  readonly isPrivate: boolean;
}

/** The entries of a list, and how many others are too large to be offered. */
interface ListReading extends Hints {
  readonly entries: JsonObject[];
  readonly tooLarge: number;
}

async function readList(connection: Connection, list: List, totalMs: number): Promise<ListReading> {
  const entries: JsonObject[] = [];
  let tooLarge = 0;
  let hints: Hints = { ttlMs: Infinity, isPrivate: false };
  const cursors = new Set<string>();
  let cursor: string | undefined;
  let bytes = 0;
  for (let page = 0; page < BOUNDS.offerPages; page++) {
    const reply = await connection.request({
      method: list.method,
      params: cursor === undefined ? {} : { cursor },
      totalMs,
    });
    if (reply.error?.code === -32601) return { entries: [], tooLarge: 0, ...hints }; // the capability is declared, but not this list
    if (!reply.result) throw unreadable(connection, list.method, reply.error?.message ?? 'no result');
    bytes += reply.bytes;
    hints = joined(hints, reply.result);
    for (const entry of entriesOf(reply.result, list.kind)) {
      // a small page has no large entry, so its entries are not measured
      if (reply.bytes > BOUNDS.offerEntryBytes && JSON.stringify(entry).length > BOUNDS.offerEntryBytes) tooLarge++;
      else entries.push(entry);
    }
    if (entries.length > list.most || bytes > BOUNDS.offerBytes)
      throw unreadable(connection, list.method, `it has more than ${list.most} entries or ${BOUNDS.offerBytes} bytes`);
    const next = reply.result.nextCursor;
    if (typeof next !== 'string' || next === '') return { entries, tooLarge, ...hints }; // some servers say the end with an empty cursor
    if (cursors.has(next)) throw unreadable(connection, list.method, 'its pages run in a circle');
    cursors.add(next);
    cursor = next;
  }
  throw unreadable(connection, list.method, `it has more than ${BOUNDS.offerPages} pages`);
}

/** The hints of all pages together; a page without a valid time is stale at once. */
function joined(hints: Hints, { ttlMs, cacheScope }: JsonObject): Hints {
  const ttl = Math.max(numberOf(ttlMs) ?? 0, 0);
  return { ttlMs: Math.min(hints.ttlMs, ttl), isPrivate: hints.isPrivate || cacheScope === 'private' };
}

const NAME_KEYS: Readonly<Record<OfferKind, string>> = {
  tool: 'name',
  prompt: 'name',
  resource: 'uri',
  resourceTemplate: 'uriTemplate',
};

/** The entries that are objects with a usable name; others cannot be offered. */
function entriesOf(result: JsonObject, kind: OfferKind): JsonObject[] {
  const list = result[LIST_KEYS[kind]];
  if (!Array.isArray(list)) return [];
  return list.filter((entry): entry is JsonObject => isObject(entry) && isName(entry[NAME_KEYS[kind]]));
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= BOUNDS.offerNameLength;
}

function unreadable(connection: Connection, method: string, why: string): GatewayError {
  const name = connection.instance.split('#')[0] ?? '';
  return new GatewayError(
    'upstream_protocol',
    `${method} of the server "${name}" cannot be read: ${why.slice(0, BOUNDS.quotedError)}`,
  );
}
