// Several messages in one array: what revision 2025-03-26 has, and no other (2025-03-26 basic/index, Batching).
import { GatewayError } from '../../core/errors.ts';
import type { JsonValue } from '../../core/json.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { type Frame, idOf, readClientFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { type Answer, encodeError } from './encode.ts';
import type { Caller } from './caller.ts';
import { answerLegacy, type LegacyContext, takeMessage } from './legacy.ts';
import { refusedAnswer } from './refused.ts';
import type { Session } from './session.ts';

const BATCH_REVISION = '2025-03-26';
/** Most messages of one batch. */
const MAX_BATCH = 100;

/** What the answers to one batch come to, in characters; a single one may be larger. */
const MAX_ANSWERED = 64 * 1024 * 1024;

/** A message of a batch, or the answer to one that is none. */
type BatchItem = Frame | { readonly kind: 'fault'; readonly answer: Answer };

/** Reads a batch. Throws `invalid_request` where the session's revision has none, or where it is empty, too long, or initializes. */
export function readBatch(gateway: Gateway, values: readonly JsonValue[], session: Session | undefined): BatchItem[] {
  if (session?.version !== BATCH_REVISION)
    throw new GatewayError('invalid_request', 'Batches are not taken here; send one message at a time.');
  if (values.length === 0 || values.length > MAX_BATCH)
    throw new GatewayError(
      'invalid_request',
      `A batch holds 1 to ${MAX_BATCH} messages; this one holds ${values.length}.`,
    );
  const items = values.map((value) => readItem(value, gateway, session.caller));
  if (items.some((item) => item.kind === 'request' && item.method === 'initialize'))
    throw new GatewayError('invalid_request', '`initialize` must not stand in a batch; send it alone.');
  return items;
}

function readItem(value: JsonValue, gateway: Gateway, caller: Caller): BatchItem {
  try {
    return readClientFrame(value);
  } catch (error) {
    return { kind: 'fault', answer: refusedAnswer(gateway, { id: idOf(value), era: 'legacy', caller }, error) };
  }
}

/**
 * Answers all of a batch at once, in one array; undefined where there is nothing to answer. An answer for which the others have left no room
 * is replaced by `answer_too_large`.
 */
export async function answerBatch(
  gateway: Gateway,
  items: readonly BatchItem[],
  context: LegacyContext,
): Promise<Answer | undefined> {
  const { session } = context;
  let answered = 0;
  const fitting = (id: RequestId, { text }: Answer): string => {
    if (answered > 0 && answered + text.length > MAX_ANSWERED) return encodeError(id, noRoom(), 'legacy').text;
    answered += text.length;
    return text;
  };
  const texts = await Promise.all(
    items.map(async (item) => {
      if (item.kind === 'fault') return item.answer.text;
      if (item.kind === 'request') {
        const answer = await answerLegacy(gateway, item, context);
        return answer && fitting(item.id, answer);
      }
      takeMessage(item, session);
      return undefined;
    }),
  );
  const given = texts.filter((text) => text !== undefined);
  return given.length === 0 ? undefined : { text: `[${given.join(',')}]`, status: 200 };
}

function noRoom(): GatewayError {
  return new GatewayError(
    'answer_too_large',
    `The answers to the other messages of the batch leave no room for this one: together they may be ${MAX_ANSWERED} characters. The call was made; ask for less at a time.`,
  );
}
