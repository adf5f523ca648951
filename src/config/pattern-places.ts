// The places of an entry's name patterns in its file, so that a decision can cite its pattern.
import { isObject, type JsonObject } from '../core/json.ts';
import type { Path } from './problems.ts';

/** `file:line:column` of each list of patterns (`tools.deny`) and of each pattern (`tools.deny.0`). */
export function patternPlaces(raw: JsonObject, place: (within: Path) => string): Readonly<Record<string, string>> {
  const places: Record<string, string> = {};
  for (const setting of ['tools', 'prompts', 'resources']) {
    const written = raw[setting];
    for (const list of ['allow', 'deny']) {
      // a plain list is the `allow` list
      const plain = Array.isArray(written) && list === 'allow';
      const at = plain ? [setting] : [setting, list];
      const patterns = plain ? written : isObject(written) ? written[list] : undefined;
      if (!Array.isArray(patterns)) continue;
      places[`${setting}.${list}`] = place(at);
      patterns.forEach((_, index) => (places[`${setting}.${list}.${index}`] = place([...at, index])));
    }
  }
  return places;
}
