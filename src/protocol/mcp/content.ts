// Content blocks by revision: a client of an older revision gets a block that it does not know as text.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { isObject, type JsonObject, type JsonValue, numberOf } from '../../core/json.ts';

/** The first revision that has a type of block in results and prompts; later ones have it too. Revisions are dates. */
const CONTENT: ReadonlyMap<unknown, string> = new Map([
  ['text', '2024-11-05'],
  ['image', '2024-11-05'],
  ['resource', '2024-11-05'],
  ['audio', '2025-03-26'],
  ['resource_link', '2025-06-18'],
]);

/** The same for the messages of `sampling/createMessage`. */
const SAMPLING: ReadonlyMap<unknown, string> = new Map([
  ['text', '2024-11-05'],
  ['image', '2024-11-05'],
  ['audio', '2025-03-26'],
  ['tool_use', '2025-11-25'],
  ['tool_result', '2025-11-25'],
]);

/** The first revision in which a message of sampling may have several blocks. */
const SEVERAL_BLOCKS_SINCE = '2025-11-25';

/** The result of a tool or prompt for a client of a legacy revision: the same object where the client knows all of its blocks. */
export function contentFor(result: JsonObject, revision: string): JsonObject {
  const { content, messages } = result;
  const known = knownBlocks(content, revision);
  const knownMessages = mapped(messages, (message) => {
    if (!isObject(message)) return message;
    const block = knownBlock(message.content, revision);
    return block === message.content ? message : { ...message, content: block };
  });
  if (known === content && knownMessages === messages) return result;
  return {
    ...result,
    ...(known !== content && { content: known }),
    ...(knownMessages !== messages && { messages: knownMessages }),
  };
}

/** The messages of `sampling/createMessage` for a client of a legacy revision; a message with several blocks becomes several messages. */
export function samplingMessagesFor(messages: JsonValue[], revision: string): JsonValue[] {
  return messages.flatMap((message): JsonValue[] => {
    if (!isObject(message)) return [message];
    const { content } = message;
    if (!Array.isArray(content)) return [{ ...message, content: samplingBlock(content, revision) }];
    const blocks = content.map((block) => samplingBlock(block, revision) ?? null);
    if (revision >= SEVERAL_BLOCKS_SINCE) return [{ ...message, content: blocks }];
    return blocks.map((block) => ({ ...message, content: block }));
  });
}

function samplingBlock(block: JsonValue | undefined, revision: string): JsonValue | undefined {
  if (!isObject(block)) return block;
  if (!isKnown(SAMPLING, block, revision)) return asText(block);
  const { type, content } = block;
  return type === 'tool_result' ? { ...block, content: knownBlocks(content, revision) } : block;
}

function knownBlocks(content: JsonValue | undefined, revision: string): JsonValue | undefined {
  return mapped(content, (block) => knownBlock(block, revision) ?? null);
}

function knownBlock(block: JsonValue | undefined, revision: string): JsonValue | undefined {
  return !isObject(block) || isKnown(CONTENT, block, revision) ? block : asText(block);
}

function isKnown(since: ReadonlyMap<unknown, string>, { type }: JsonObject, revision: string): boolean {
  const first = since.get(type);
  return first !== undefined && first <= revision;
}

/** Maps each item of a list with `change`; returns the same value where nothing changes, and where it is not a list. */
function mapped(list: JsonValue | undefined, change: (item: JsonValue) => JsonValue): JsonValue | undefined {
  if (!Array.isArray(list)) return list;
  let changed: JsonValue[] | undefined;
  for (let index = 0; index < list.length; index++) {
    const before = list[index] as JsonValue;
    const after = change(before);
    if (after !== before) (changed ??= [...list])[index] = after;
  }
  return changed ?? list;
}

/** A text block that describes another: its type, name, URI, MIME type and size; never its data. */
function asText({ type, title, name, uri, mimeType, size, data, blob }: JsonObject): JsonObject {
  const bytes = numberOf(size) ?? bytesOf(data) ?? bytesOf(blob);
  const parts = [title ?? name, uri, mimeType]
    .filter((part): part is string => typeof part === 'string' && part !== '')
    .map((part) => part.slice(0, BOUNDS.blockText));
  if (bytes !== undefined) parts.push(`${bytes} bytes`);
  const what = typeof type === 'string' ? type.slice(0, BOUNDS.blockText) : 'content without a type';
  return { type: 'text', text: parts.length === 0 ? `[${what}]` : `[${what}: ${parts.join(', ')}]` };
}

/** The size of base64 data in bytes. */
function bytesOf(base64: JsonValue | undefined): number | undefined {
  return typeof base64 === 'string' ? Buffer.byteLength(base64, 'base64') : undefined;
}
