// The questions of a modern server's task, each put to a legacy client by itself while the task is followed (wire.md, Tasks).
import { Cancellation } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import type { LiveQuestions } from '../bridge/live-questions.ts';
import type { TaskClock } from './task-clock.ts';

/** Most questions of one task. */
const MAX_QUESTIONS = 100;

/** Why a call cannot go on after a question: the client's error, or what went wrong. */
export type Refusal = { readonly error: RpcError } | { readonly failure: unknown };

export interface TaskQuestionsOptions {
  readonly server: string;
  readonly questions: LiveQuestions;
  /** Stands still while a question is with the client. */
  readonly clock: TaskClock;
  /** Gives the server an answer. */
  readonly answer: (inputResponses: JsonObject) => Promise<void>;
  readonly refused: (refusal: Refusal) => void;
}

export class TaskQuestions {
  private readonly options: TaskQuestionsOptions;
  /** Keys of all questions that were put: the server may list one until it has taken the answer. */
  private readonly known = new Set<string>();
  private readonly open = new Map<string, Cancellation>();

  constructor(options: TaskQuestionsOptions) {
    this.options = options;
  }

  /** Puts what was not put yet, and withdraws what the server does not ask any more. Throws `upstream_protocol` where it asks too much. */
  follow(inputRequests: unknown): void {
    const asked = isObject(inputRequests) ? inputRequests : {};
    for (const [key, question] of this.open) if (!Object.hasOwn(asked, key)) question.abort();
    for (const [key, request] of Object.entries(asked)) {
      if (this.known.has(key)) continue;
      if (this.known.size >= MAX_QUESTIONS)
        throw new GatewayError(
          'upstream_protocol',
          `The server "${this.options.server}" asked more than ${MAX_QUESTIONS} questions in one task.`,
        );
      this.known.add(key);
      void this.put(key, request);
    }
  }

  /** Withdraws everything: nobody waits for answers any more. */
  withdraw(): void {
    for (const question of this.open.values()) question.abort();
  }

  private async put(key: string, request: unknown): Promise<void> {
    const { answer, refused } = this.options;
    const withdrawn = new Cancellation();
    try {
      const said = await this.ask(key, request, withdrawn);
      if ('error' in said) refused(said);
      else await answer({ [key]: said.result });
    } catch (failure) {
      if (!withdrawn.aborted) refused({ failure });
    }
  }

  private async ask(key: string, request: unknown, withdrawn: Cancellation) {
    const { questions, clock } = this.options;
    this.open.set(key, withdrawn);
    clock.hold();
    try {
      return await questions.put(request, withdrawn);
    } finally {
      clock.release();
      this.open.delete(key);
    }
  }
}
