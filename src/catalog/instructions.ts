// One text of instructions for the whole offer: a headed, bounded part for each server that has some.
import type { CatalogSource } from './catalog.ts';

/** Clients cut instructions; a server may not crowd out the others. */
const MAX_PART = 2_000;
/** Longest instructions, in characters: of one server at its own URL, and of all together. */
export const MAX_INSTRUCTIONS = 16_000;

/** Joins the servers' instructions; undefined where none has any. */
export function mergeInstructions(sources: readonly CatalogSource[]): string | undefined {
  const parts = sources.flatMap(({ alias, offer }) => {
    const text = offer.instructions?.trim();
    if (text === undefined || text === '') return [];
    return [`## ${alias}\n\n${text.length > MAX_PART ? `${text.slice(0, MAX_PART)}…` : text}`];
  });
  if (parts.length === 0) return undefined;
  const all = parts.join('\n\n');
  return all.length > MAX_INSTRUCTIONS ? `${all.slice(0, MAX_INSTRUCTIONS)}…` : all;
}
