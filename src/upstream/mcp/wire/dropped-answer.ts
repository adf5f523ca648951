// Finds the request that a dropped line answered, from the two ends of the line, if these leave no doubt.
import type { DroppedLine } from '../../../protocol/mcp/line-splitter.ts';

/** `answer` with the request that it answered; `other` is no answer; `unknown` if the ends do not show it. */
export type DroppedKind =
  { readonly kind: 'answer'; readonly id: number } | { readonly kind: 'other' } | { readonly kind: 'unknown' };

/** The top-level keys in front of the one that distinguishes requests and answers. */
const HEAD =
  /^\s*\{\s*(?<front>(?:(?:"jsonrpc"\s*:\s*"2\.0"|"id"\s*:\s*(?:\d{1,15}|"[^"\\]{0,100}"))\s*,\s*){0,2})"(?<key>result|error|method)"\s*:/;
const FRONT_ID = /"id"\s*:\s*(?<id>\d+|")/;

/** A last key directly before the brace that closes the line belongs to the outermost object. */
const TAIL = /[,{]\s*"id"\s*:\s*(?<id>\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/;

/** Classifies a dropped line. A server's own request may have any id, so an id alone proves nothing. */
export function readDroppedLine({ head, tail, ended }: DroppedLine): DroppedKind {
  const { front, key } = HEAD.exec(head)?.groups ?? {};
  if (front === undefined || key === undefined) return { kind: 'unknown' };
  if (key === 'method') return { kind: 'other' };
  const id = FRONT_ID.exec(front)?.groups?.id ?? (ended ? TAIL.exec(tail)?.groups?.id : undefined);
  if (id === undefined) return { kind: 'unknown' };
  return /^\d/.test(id) ? { kind: 'answer', id: Number(id) } : { kind: 'other' }; // the gateway uses no strings as ids
}
