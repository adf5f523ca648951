// The questions that one session's client has not answered yet: each by an id of our own, matched within the session alone.
import type { CancelSignal } from '../../core/cancellation.ts';
import type { Question, QuestionAnswer } from '../../core/exchange.ts';
import { GatewayError } from '../../core/errors.ts';
import { notificationText, requestText, type RequestId, type ResponseFrame } from '../../protocol/mcp/frames.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { withRelatedTask } from '../../protocol/mcp/tasks.ts';
import { LIMITS } from './limits.ts';
import { type Askable, paramsFor, requireAskable } from '../../protocol/mcp/questions.ts';

/** Most questions that wait for one client at a time. */
const MAX_QUESTIONS = 100;

/** The way of a question to the client. */
export interface QuestionWay {
  /** What the question belongs to: a call, or the session. When it is over, so is the question. */
  readonly signal: CancelSignal;
  /** Whether what is sent can still reach the client. */
  readonly send: (text: string) => boolean;
  /** Whether somebody is there now; absent where what is sent waits for whoever comes back. */
  readonly reachable?: () => boolean;
}

interface OpenQuestion {
  readonly way: QuestionWay;
  readonly settle: (answer: QuestionAnswer) => void;
  readonly withdraw: (why: string) => void;
}

export class OpenQuestions {
  /** How long a question may be with the client, in ms. */
  readonly answeredWithinMs: number;
  private readonly client: Askable;
  private readonly open = new Map<RequestId, OpenQuestion>();
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
    const calls = [...this.open.values()].map(({ way }) => way).filter(({ reachable }) => reachable === undefined);
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
    if (this.open.size >= MAX_QUESTIONS)
      throw new GatewayError(
        'overloaded',
        `${MAX_QUESTIONS} questions wait for this client; ask when some are answered.`,
      );
    const id = ++this.last;
    const { promise, resolve, reject } = Promise.withResolvers<QuestionAnswer>();
    const withdraw = (why: string) => {
      this.open.delete(id);
      way.send(notificationText('notifications/cancelled', { requestId: id, reason: why }));
      reject(new GatewayError('cancelled', why));
    };
    this.open.set(id, { way, settle: resolve, withdraw });
    const known = paramsFor(method, params, this.client);
    const asked = task === undefined ? known : withRelatedTask(known, task);
    const backs: (() => void)[] = [];
    try {
      if (way.reachable?.() === false || !way.send(requestText(id, method, asked)))
        throw new GatewayError(
          'client_unreachable',
          'The client has no event stream open on which it could be asked; it opens one with GET, or takes one as the answer to its call.',
        );
      backs.push(
        signal.onAbort(() => withdraw('The question was withdrawn.')),
        way.signal.onAbort(() => withdraw('What the question belongs to was cancelled.')),
      );
      return await promise;
    } finally {
      this.open.delete(id);
      for (const back of backs) back();
    }
  }

  /** Takes an answer. One to a question that was never asked, or is answered already, means nothing. */
  answer({ id, result, error }: ResponseFrame): void {
    if (id === undefined) return;
    const question = this.open.get(id);
    if (!question) return;
    this.open.delete(id);
    if (error) question.settle({ error });
    else question.settle({ result: withoutProtocolMeta(result ?? {}) });
  }

  /** Withdraws what is still open of a call that has ended. */
  endOf(way: QuestionWay): void {
    for (const question of [...this.open.values()])
      if (question.way === way) question.withdraw('The call that the question belongs to has ended.');
  }
}
