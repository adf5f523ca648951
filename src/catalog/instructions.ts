// Joins the instructions of all servers into one text: a bounded part with a heading for each server that has some.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { CatalogSource } from './catalog.ts';

/** Joins the servers' instructions; undefined where none has any. */
export function mergeInstructions(sources: readonly CatalogSource[]): string | undefined {
  const parts = sources.flatMap(({ alias, offer }) => {
    const text = offer.instructions?.trim();
    if (text === undefined || text === '') return [];
    return [`## ${alias}\n\n${cut(text, BOUNDS.instructionsPart)}`];
  });
  if (parts.length === 0) return undefined;
  return cut(parts.join('\n\n'), BOUNDS.instructions);
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
