// Finds and replaces the URIs of resources in results: of links, of embedded resources, and of the contents that were read.
import { isObject, type JsonObject, type JsonValue } from '../../core/json.ts';

const LISTS = ['content', 'contents', 'messages'];

/** The result with each URI of a resource replaced by what `change` returns; the same object where nothing changes. `most` bounds the entries of one list that are looked at. */
export function mapResourceUris(result: JsonObject, change: (uri: string) => string, most = Infinity): JsonObject {
  let mapped: JsonObject | undefined;
  for (const key of LISTS) {
    const list = result[key];
    if (!Array.isArray(list)) continue;
    const changed = mapList(list, change, most);
    if (changed !== list) (mapped ??= { ...result })[key] = changed;
  }
  return mapped ?? result;
}

function mapList(list: JsonValue[], change: (uri: string) => string, most: number): JsonValue[] {
  let mapped: JsonValue[] | undefined;
  for (let at = 0; at < list.length && at < most; at++) {
    const before = list[at] as JsonValue;
    const after = mapItem(before, change);
    if (after !== before) (mapped ??= [...list])[at] = after;
  }
  return mapped ?? list;
}

/** A content block, the contents of a resource, or a message of a prompt, which has a block. */
function mapItem(item: JsonValue, change: (uri: string) => string): JsonValue {
  if (!isObject(item)) return item;
  const { uri, resource, content } = item;
  if (typeof uri === 'string') return mapUri(item, uri, change);
  const key = isObject(resource) ? 'resource' : 'content';
  const inner = isObject(resource) ? resource : content;
  if (!isObject(inner)) return item;
  const mapped = mapItem(inner, change);
  return mapped === inner ? item : { ...item, [key]: mapped };
}

function mapUri(item: JsonObject, uri: string, change: (uri: string) => string): JsonObject {
  const changed = change(uri);
  return changed === uri ? item : { ...item, uri: changed };
}
