// Icons of definitions: those that a client could not show safely are not passed on (2025-11-25 and later, basic/index, Icons).
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** What a client may load: by its beginning as written, since what reads it otherwise may find another scheme behind spaces. */
const SAFE = /^(?:https?:\/\/|data:image\/)/i;

/** As much of an address as a warning says again. */
const MOST_SHOWN = 100;

/** A definition with the icons that clients may load, and the addresses of those that were left out. */
export function withSafeIcons(definition: JsonObject): { definition: JsonObject; leftOut: readonly string[] } {
  const { icons, ...rest } = definition;
  if (!Array.isArray(icons)) return { definition, leftOut: [] };
  const unsafe = icons.map(addressOf).filter((src) => !SAFE.test(src));
  if (unsafe.length === 0) return { definition, leftOut: [] };
  const safe = icons.filter((icon) => SAFE.test(addressOf(icon)));
  return {
    definition: safe.length === 0 ? rest : { ...definition, icons: safe },
    leftOut: unsafe.map((src) => src.slice(0, MOST_SHOWN)),
  };
}

/** What is told of them. */
export function unsafeIcons(addresses: readonly string[]): string {
  const [first = '', ...others] = addresses;
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `its icon at ${JSON.stringify(first)}${more}: only https:, http: and data:image/ are passed on to clients`;
}

function addressOf(icon: JsonValue): string {
  return isObject(icon) && typeof icon.src === 'string' ? icon.src : '';
}
