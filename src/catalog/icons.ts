// Removes the icons of definitions that a client could not load safely (2025-11-25 and later, basic/index, Icons).
import { BOUNDS } from '../core/bounds/bounds.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** A URI that a client may load. The scheme must be at its very start, since some parsers skip leading spaces and find another scheme. */
const SAFE = /^(?:https?:\/\/|data:image\/)/i;

/** The definition with the icons that clients may load, and the start of the URIs of those that it leaves out. */
export function withSafeIcons(definition: JsonObject): { definition: JsonObject; leftOut: readonly string[] } {
  const { icons, ...rest } = definition;
  if (!Array.isArray(icons)) return { definition, leftOut: [] };
  const unsafe = icons.map(addressOf).filter((src) => !SAFE.test(src));
  if (unsafe.length === 0) return { definition, leftOut: [] };
  const safe = icons.filter((icon) => SAFE.test(addressOf(icon)));
  return {
    definition: safe.length === 0 ? rest : { ...definition, icons: safe },
    leftOut: unsafe.map((src) => src.slice(0, BOUNDS.warningExcerpt)),
  };
}

/** The part of a warning about left-out icons. */
export function unsafeIcons(addresses: readonly string[]): string {
  const [first = '', ...others] = addresses;
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `its icon at ${JSON.stringify(first)}${more}: only https:, http: and data:image/ are passed on to clients`;
}

function addressOf(icon: JsonValue): string {
  return isObject(icon) && typeof icon.src === 'string' ? icon.src : '';
}
