// Content blocks by revision: what a client of an older one does not know is told to it in words.
import { isObject, type JsonObject, type JsonValue, numberOf } from '../../core/json.ts';

/** The first revision that has a type of block in results and prompts; later ones do too, revisions being dates. */
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

/** Longest part of a block that is told, in characters. */
const MAX_PART = 1_024;

/** A result of a tool or a prompt as a client of a legacy revision knows it: the very same object where it knows all of it. */
export function contentFor(result: JsonObject, revision: string): JsonObject {
  const { content, messages } = result;
  const known = knownBlocks(content, revision);
  const told = mapped(messages, (message) => {
    if (!isObject(message)) return message;
    const block = knownBlock(message.content, revision);
    return block === message.content ? message : { ...message, content: block };
  });
  if (known === content && told === messages) return result;
  return { ...result, ...(known !== content && { content: known }), ...(told !== messages && { messages: told }) };
}

/** The messages of `sampling/createMessage` as a client of a legacy revision knows them; one with several blocks becomes several. */
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
  if (!isKnown(SAMPLING, block, revision)) return inWords(block);
  const { type, content } = block;
  return type === 'tool_result' ? { ...block, content: knownBlocks(content, revision) } : block;
}

function knownBlocks(content: JsonValue | undefined, revision: string): JsonValue | undefined {
  return mapped(content, (block) => knownBlock(block, revision) ?? null);
}

function knownBlock(block: JsonValue | undefined, revision: string): JsonValue | undefined {
  return !isObject(block) || isKnown(CONTENT, block, revision) ? block : inWords(block);
}

function isKnown(since: ReadonlyMap<unknown, string>, { type }: JsonObject, revision: string): boolean {
  const first = since.get(type);
  return first !== undefined && first <= revision;
}

/** The list with each item as `change` makes it; the very same where nothing changes, and whatever else is no list. */
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

/** What stood there: its type, its name and URI, its MIME type and size; never the data itself. */
function inWords({ type, title, name, uri, mimeType, size, data, blob }: JsonObject): JsonObject {
  const bytes = numberOf(size) ?? bytesOf(data) ?? bytesOf(blob);
  const said = [title ?? name, uri, mimeType]
    .filter((part): part is string => typeof part === 'string' && part !== '')
    .map((part) => part.slice(0, MAX_PART));
  if (bytes !== undefined) said.push(`${bytes} bytes`);
  const what = typeof type === 'string' ? type.slice(0, MAX_PART) : 'content without a type';
  return { type: 'text', text: said.length === 0 ? `[${what}]` : `[${what}: ${said.join(', ')}]` };
}

/** The size of what is written as base64. */
function bytesOf(base64: JsonValue | undefined): number | undefined {
  return typeof base64 === 'string' ? Buffer.byteLength(base64, 'base64') : undefined;
}
