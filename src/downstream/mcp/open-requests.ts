// What is unanswered between the gateway and one client: the requests of the client, and the questions of servers.
import { BOUNDS, type Bounds } from '../../core/bounds/bounds.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { RequestsInFlight } from '../../core/in-flight.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/vocabulary.ts';
import { type Askable, paramsFor, requireAskable } from '../../protocol/mcp/capabilities.ts';
import { GatewayError } from '../../core/errors.ts';
import { notificationText, type RequestId, requestText, type ResponseFrame } from '../../protocol/mcp/frames.ts';
import type { Question, QuestionAnswer } from '../../core/exchange.ts';
import { withRelatedTask } from '../../protocol/mcp/tasks.ts';

/** An array instead of a map: every call adds and removes an entry, and the array is short (see `Slots`). */
export class OpenRequests {
  private readonly open: { readonly id: RequestId; readonly cancellation: Cancellation }[] = [];

  get size(): number {
    return this.open.length;
  }

  /** Registers a request. Throws `invalid_request` for an id that is in flight already, `overloaded` if there are too many. */
  begin(id: RequestId): Cancellation {
    if (this.indexOf(id) !== -1)
      throw new GatewayError('invalid_request', `A request with the id ${JSON.stringify(id)} is still in flight.`);
    if (this.open.length >= BOUNDS.sessionRequests)
      throw new GatewayError('overloaded', `${BOUNDS.sessionRequests} requests are in flight; wait for some to end.`);
    const cancellation = new Cancellation();
    this.open.push({ id, cancellation });
    return cancellation;
  }

  finish(id: RequestId): void {
    const index = this.indexOf(id);
    if (index === -1) return;
    const last = this.open.pop();
    if (last && index < this.open.length) this.open[index] = last;
  }

  /** Cancels a request; ignores an id that is not in flight (patterns/cancellation, Error Handling). */
  cancel(id: unknown): void {
    this.open.find((request) => request.id === id)?.cancellation.abort();
  }

  cancelAll(): void {
    for (const { cancellation } of [...this.open]) cancellation.abort();
  }

  private indexOf(id: RequestId): number {
    return this.open.findIndex((request) => request.id === id);
  }
}

/** How a question reaches the client. */
export interface QuestionChannel {
  /** The signal of the call or session that the question belongs to; its abort withdraws the question. */
  readonly signal: CancelSignal;
  /** Sends a message; returns whether it can still reach the client. */
  readonly send: (text: string) => boolean;
  /** Whether the client reads now; absent if a message may wait until the client reconnects. */
  readonly reachable?: () => boolean;
}

export class OpenQuestions {
  /** How long the client has to answer, in ms. */
  readonly answeredWithinMs: number;
  private readonly client: Askable;
  private readonly open: RequestsInFlight<RequestId, QuestionChannel, QuestionAnswer>;
  private lastId = 0;

  constructor(client: Askable, { sessionQuestions: most, questionAge }: Bounds = BOUNDS) {
    this.client = client;
    this.answeredWithinMs = questionAge;
    this.open = new RequestsInFlight({
      most,
      full: () => new GatewayError('overloaded', `${most} questions wait for this client; ask when some are answered.`),
    });
  }

  get size(): number {
    return this.open.size;
  }

  /** How many calls wait for answers of the client. */
  get waitingCalls(): number {
    const calls = [...this.open]
      .map(([, { request: channel }]) => channel)
      .filter(({ reachable }) => reachable === undefined);
    return new Set(calls).size;
  }

  /**
   * Sends a question and resolves with the client's answer. Throws `question_undeclared` if the client did not declare that it answers such
   * questions, `client_unreachable` if it has no stream, `overloaded` if too many questions are open, and `cancelled` when the server withdraws
   * the question or its call or session ends.
   */
  async ask({ method, params, signal, task }: Question, channel: QuestionChannel): Promise<QuestionAnswer> {
    requireAskable(method, params, this.client.capabilities);
    if (signal.aborted || channel.signal.aborted)
      throw new GatewayError('cancelled', 'What the question belongs to is over; nobody was asked.');
    const id = this.lastId + 1;
    const question = this.open.begin(id, channel);
    this.lastId = id;
    const known = paramsFor(method, params, this.client);
    const related = task === undefined ? known : withRelatedTask(known, task);
    if (channel.reachable?.() === false || !channel.send(requestText(id, method, related)))
      question.fail(
        new GatewayError(
          'client_unreachable',
          'The client has no event stream open on which it could be asked; it opens one with GET, or takes one as the answer to its call.',
        ),
      );
    const stops = [
      signal.onAbort(() => this.withdraw(id, 'The question was withdrawn.')),
      channel.signal.onAbort(() => this.withdraw(id, 'What the question belongs to was cancelled.')),
    ];
    return question.answered.finally(() => stops.forEach((stop) => stop()));
  }

  /** Accepts an answer of the client; ignores one to a question that is not open. */
  answer({ id, result, error }: ResponseFrame): void {
    if (id === undefined) return;
    this.open.get(id)?.answer(error ? { error } : { result: withoutProtocolMeta(result ?? {}) });
  }

  /** Withdraws the open questions of a call that has ended. */
  endOf(channel: QuestionChannel): void {
    for (const [id, question] of this.open)
      if (question.request === channel) this.withdraw(id, 'The call that the question belongs to has ended.');
  }

  private withdraw(id: RequestId, why: string): void {
    const question = this.open.get(id);
    if (!question?.fail(new GatewayError('cancelled', why))) return;
    question.request.send(notificationText('notifications/cancelled', { requestId: id, reason: why }));
  }
}
