// Reads one line of a client as far as a relay needs: the requests, answers and cancellations in it; the owner checks the rest.
import type { JsonValue } from '../core/json.ts';
import { type Frame, idOf, readClientFrame, type RequestId } from '../protocol/mcp/frames.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';

/** A message that the owner will refuse, with the id of that error. */
interface Unreadable {
  readonly kind: 'unreadable';
  readonly id: RequestId | undefined;
}

interface Part {
  readonly frame: Frame | Unreadable;
  readonly text: string;
}

export interface ClientLine {
  readonly text: string;
  readonly batch: boolean;
  /** The messages of the line; none if it is not JSON, or an empty array. */
  readonly parts: readonly Part[];
}

/** Reads a line. The owner refuses invalid lines, because it knows its limits. */
export function readClientLine(text: string): ClientLine {
  let value: JsonValue;
  try {
    value = parseStrict(text, { depth: Infinity, uniqueKeys: true });
  } catch {
    return { text, batch: false, parts: [] };
  }
  if (!Array.isArray(value)) return { text, batch: false, parts: [{ frame: read(value), text }] };
  return { text, batch: true, parts: value.map((one) => ({ frame: read(one), text: JSON.stringify(one) })) };
}

function read(value: JsonValue): Frame | Unreadable {
  try {
    return readClientFrame(value);
  } catch {
    return { kind: 'unreadable', id: idOf(value) };
  }
}

/** The ids of the answers that the line will get. */
export function idsOf({ parts }: ClientLine): RequestId[] {
  return parts.flatMap(({ frame }) =>
    (frame.kind === 'request' || frame.kind === 'unreadable') && frame.id !== undefined ? [frame.id] : [],
  );
}

/** The id of the request that the line cancels. */
export function cancelledBy({ parts: [part], batch }: ClientLine): unknown {
  if (batch || part?.frame.kind !== 'notification' || part.frame.method !== 'notifications/cancelled') return undefined;
  return part.frame.params.requestId;
}
