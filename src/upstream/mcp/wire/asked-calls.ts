// The calls of one session or principal that a question of a server may belong to: it is put on the stream of one of them (docs/bridge.md, Who answers).
import type { ErrorCode } from '../../../core/errors.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { Exchange, Question, QuestionAnswer } from '../../../core/exchange.ts';
import { whyNotAsked } from '../../../protocol/mcp/capabilities.ts';
import type { Pending } from './pending.ts';

/** Failures after which another call may still carry the question. */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set([
  'cancelled',
  'client_unreachable',
  'question_undeclared',
  'overloaded',
]);

/** What of an exchange a question needs. */
export type Asked = Pick<Exchange, 'ask' | 'notify'>;

/** The exchange of a question that may belong to any of these calls; undefined if there is none. */
export function askedOf(calls: readonly Pending[]): Asked | undefined {
  return calls.length > 1 ? new AskedCalls(calls) : calls[0]?.request.exchange;
}

class AskedCalls implements Asked {
  private readonly calls: readonly Pending[];

  constructor(calls: readonly Pending[]) {
    this.calls = calls;
  }

  /** If the call that carries the question ends before the answer, the next one carries it, unless the client has the question already. */
  async ask(question: Question): Promise<QuestionAnswer> {
    const tried = new Set<Pending>();
    let failure = new GatewayError('cancelled', 'The calls that the question may belong to have ended.');
    for (let call = this.next(question, tried); call?.request.exchange; call = this.next(question, tried)) {
      tried.add(call);
      try {
        return await call.request.exchange.ask({ ...question, ofSeveral: true });
      } catch (error) {
        if (question.signal.aborted || !(error instanceof GatewayError) || !PASSED_ON.has(error.code)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  notify(method: string, params: Question['params']): void {
    this.calls.find(({ done }) => !done)?.request.exchange?.notify(method, params);
  }

  /** The oldest call whose caller waits and can be asked this. A parked call comes after those, and one that did not declare it comes last. */
  private next({ method, params }: Question, tried: ReadonlySet<Pending>): Pending | undefined {
    const left = this.calls.filter((call) => !call.done && !tried.has(call));
    const declared = left.filter(({ request }) => whyNotAsked(method, params, capabilitiesOf(request)) === undefined);
    const able = declared.length > 0 ? declared : left;
    return able.find(({ isAttended }) => isAttended) ?? able[0];
  }
}

function capabilitiesOf({ exchange }: Pending['request']): Exchange['capabilities'] {
  return exchange?.capabilities ?? {};
}

/** Calls the listener when the last of the calls has ended. Returns the function that removes it; undefined if there is no call. */
export function onLastEnd(calls: readonly Pending[], listener: () => void): (() => void) | undefined {
  const [only] = calls;
  if (calls.length < 2) return only?.onEnd(listener);
  let running = calls.length;
  const removals = calls.map((call) =>
    call.onEnd(() => {
      if (--running === 0) listener();
    }),
  );
  return () => removals.forEach((remove) => remove());
}
