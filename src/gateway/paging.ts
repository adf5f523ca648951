// Splits lists into pages; a page is large, because many clients read only the first.
import { createHash } from 'node:crypto';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { type McpCall, serverOf } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import type { OfferedList } from '../core/offered-list.ts';

/** The page that the cursor of a call names, and the cursor of the next page. Throws `invalid_params` for a cursor of another catalog or caller. */
export function pageOf(call: McpCall, list: OfferedList, version: string): { list: OfferedList; nextCursor?: string } {
  const { cursor } = call.params;
  const index = cursor === undefined ? 0 : readCursor(call, cursor, version);
  const pages = list.pages(BOUNDS.listPage);
  const page = pages[index];
  if (!page) throw stale();
  return { list: page, ...(pages.length > index + 1 && { nextCursor: writeCursor(call, index + 1, version) }) };
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
