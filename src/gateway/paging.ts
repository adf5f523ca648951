// Pages of our lists: one for nearly everybody, since many clients read only the first.
import { createHash } from 'node:crypto';
import { type McpCall, serverOf } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import type { Offered } from '../core/reply.ts';

const PAGE = 1_000;

/** Pages are kept per list, so that what is cached about a page holds as long as the list does. */
const pages = new WeakMap<readonly Offered[], readonly (readonly Offered[])[]>();

/** The page that the call's cursor names, and the cursor of the next. Throws `invalid_params` for a cursor of another catalog or caller. */
export function pageOf(
  call: McpCall,
  entries: readonly Offered[],
  version: string,
): { entries: readonly Offered[]; nextCursor?: string } {
  const { cursor } = call.params;
  if (cursor === undefined && entries.length <= PAGE) return { entries };
  const index = cursor === undefined ? 0 : readCursor(call, cursor, version);
  const page = split(entries)[index];
  if (!page) throw stale();
  return {
    entries: page,
    ...(split(entries).length > index + 1 && { nextCursor: writeCursor(call, index + 1, version) }),
  };
}

function split(entries: readonly Offered[]): readonly (readonly Offered[])[] {
  let known = pages.get(entries);
  if (!known) {
    known = Array.from({ length: Math.ceil(entries.length / PAGE) }, (_, index) =>
      entries.slice(index * PAGE, (index + 1) * PAGE),
    );
    pages.set(entries, known);
  }
  return known;
}

/** A cursor belongs to one catalog, one list and one caller (wire.md, What the gateway offers). */
function writeCursor(call: McpCall, index: number, version: string): string {
  const owner = createHash('sha256')
    .update(`${version}\n${call.method}\n${call.principal.id}\n${serverOf(call.endpoint) ?? ''}\n${index}`)
    .digest('base64url');
  return `${index}.${owner.slice(0, 16)}`;
}

function readCursor(call: McpCall, cursor: unknown, version: string): number {
  const index = typeof cursor === 'string' ? Number.parseInt(cursor, 10) : NaN;
  if (!Number.isSafeInteger(index) || index < 1 || writeCursor(call, index, version) !== cursor) throw stale();
  return index;
}

function stale(): GatewayError {
  return new GatewayError(
    'invalid_params',
    '`params.cursor` does not belong to the present list; read the list again from its beginning.',
  );
}
