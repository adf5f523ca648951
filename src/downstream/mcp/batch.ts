// Batches: several messages in one array, which only revision 2025-03-26 has (2025-03-26 basic/index, Batching).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError } from '../../core/errors.ts';
import type { JsonValue } from '../../core/json.ts';
import type { Caller, Gateway } from '../../gateway/gateway.ts';
import { type Frame, idOf, readClientFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { type Answer, encodeError, refusedAnswer } from './encode.ts';
import { acceptMessage, answerLegacy, type LegacyContext } from './legacy.ts';
import type { Session } from './session.ts';

const BATCH_REVISION = '2025-03-26';

/** A message of a batch, or the error for an element that is not a message. */
type BatchItem = Frame | { readonly kind: 'fault'; readonly answer: Answer };

/** Reads a batch. Throws `invalid_request` if the session's revision has no batches, or if the batch is empty, too long, or has an `initialize`. */
export function readBatch(gateway: Gateway, values: readonly JsonValue[], session: Session | undefined): BatchItem[] {
  if (session?.version !== BATCH_REVISION)
    throw new GatewayError('invalid_request', 'Batches are not taken here; send one message at a time.');
  if (values.length === 0 || values.length > BOUNDS.batchMessages)
    throw new GatewayError(
      'invalid_request',
      `A batch holds 1 to ${BOUNDS.batchMessages} messages; this one holds ${values.length}.`,
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
 * Answers a whole batch in one array; undefined if no message of it needs an answer. Replaces each answer for which the earlier ones leave no
 * room by `answer_too_large`.
 */
export async function answerBatch(
  gateway: Gateway,
  items: readonly BatchItem[],
  context: LegacyContext,
): Promise<Answer | undefined> {
  const { session } = context;
  let size = 0;
  const fitting = (id: RequestId, { text }: Answer): string => {
    if (size > 0 && size + text.length > BOUNDS.batchAnswers) return encodeError(id, noRoom(), 'legacy').text;
    size += text.length;
    return text;
  };
  const texts = await Promise.all(
    items.map(async (item) => {
      if (item.kind === 'fault') return item.answer.text;
      if (item.kind === 'request') {
        const answer = await answerLegacy(gateway, item, context);
        return answer && fitting(item.id, answer);
      }
      acceptMessage(item, session);
      return undefined;
    }),
  );
  const answers = texts.filter((text) => text !== undefined);
  return answers.length === 0 ? undefined : { text: `[${answers.join(',')}]`, status: 200 };
}

function noRoom(): GatewayError {
  return new GatewayError(
    'answer_too_large',
    `The answers to the other messages of the batch leave no room for this one: together they may be ${BOUNDS.batchAnswers} characters. The call was made; ask for less at a time.`,
  );
}
