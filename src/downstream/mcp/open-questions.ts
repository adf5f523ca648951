// The questions that the client of one session has not answered yet; each has an id of the gateway's own, which means nothing in another session.
import type { CancelSignal } from '../../core/cancellation.ts';
import type { Question, QuestionAnswer } from '../../core/exchange.ts';
import { GatewayError } from '../../core/errors.ts';
import { RequestsInFlight } from '../../core/requests-in-flight.ts';
import { notificationText, requestText, type RequestId, type ResponseFrame } from '../../protocol/mcp/frames.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { withRelatedTask } from '../../protocol/mcp/tasks.ts';
import { LIMITS } from './limits.ts';
import { type Askable, paramsFor, requireAskable } from '../../protocol/mcp/questions.ts';

/** Most questions that wait for one client at a time. */
const MAX_QUESTIONS = 100;

/** How a question reaches the client. */
export interface QuestionWay {
  /** Of the call or the session that the question belongs to; its abort withdraws the question. */
  readonly signal: CancelSignal;
  /** Sends a message; returns whether it can still reach the client. */
  readonly send: (text: string) => boolean;
  /** Whether the client reads now; absent where a message waits until the client comes back. */
  readonly reachable?: () => boolean;
}

export class OpenQuestions {
  /** How long a question may be with the client, in ms. */
  readonly answeredWithinMs: number;
  private readonly client: Askable;
  private readonly open = new RequestsInFlight<RequestId, QuestionWay, QuestionAnswer>({
    most: MAX_QUESTIONS,
    full: () =>
      new GatewayError('overloaded', `${MAX_QUESTIONS} questions wait for this client; ask when some are answered.`),
  });
  private last = 0;

  constructor(client: Askable, answeredWithinMs = LIMITS.questionMs) {
    this.client = client;
    this.answeredWithinMs = answeredWithinMs;
  }

  get size(): number {
    return this.open.size;
  }

  /** How many calls wait for their client's answers. */
  get waitingCalls(): number {
    const calls = [...this.open].map(([, { request: way }]) => way).filter(({ reachable }) => reachable === undefined);
    return new Set(calls).size;
  }

  /**
   * Sends a question and resolves with what the client says. Throws `question_undeclared` where the client cannot be asked this,
   * `client_unreachable` where no stream leads to it, `overloaded` where too many are open, `cancelled` when the question was withdrawn or
   * what it belongs to ended.
   */
  async ask({ method, params, signal, task }: Question, way: QuestionWay): Promise<QuestionAnswer> {
    requireAskable(method, params, this.client);
    if (signal.aborted || way.signal.aborted)
      throw new GatewayError('cancelled', 'What the question belongs to is over; nobody was asked.');
    const id = this.last + 1;
    const question = this.open.begin(id, way);
    this.last = id;
    const known = paramsFor(method, params, this.client);
    const asked = task === undefined ? known : withRelatedTask(known, task);
    if (way.reachable?.() === false || !way.send(requestText(id, method, asked)))
      question.fail(
        new GatewayError(
          'client_unreachable',
          'The client has no event stream open on which it could be asked; it opens one with GET, or takes one as the answer to its call.',
        ),
      );
    const stops = [
      signal.onAbort(() => this.withdraw(id, 'The question was withdrawn.')),
      way.signal.onAbort(() => this.withdraw(id, 'What the question belongs to was cancelled.')),
    ];
    return question.answered.finally(() => stops.forEach((stop) => stop()));
  }

  /** Takes an answer of the client. An answer to a question that is not open is ignored. */
  answer({ id, result, error }: ResponseFrame): void {
    if (id === undefined) return;
    this.open.get(id)?.answer(error ? { error } : { result: withoutProtocolMeta(result ?? {}) });
  }

  /** A call has ended: withdraws its open questions. */
  endOf(way: QuestionWay): void {
    for (const [id, question] of this.open)
      if (question.request === way) this.withdraw(id, 'The call that the question belongs to has ended.');
  }

  private withdraw(id: RequestId, why: string): void {
    const question = this.open.get(id);
    if (!question?.fail(new GatewayError('cancelled', why))) return;
    question.request.send(notificationText('notifications/cancelled', { requestId: id, reason: why }));
  }
}
