// Routes a server's request to the call, owner or task that it belongs to, and to nobody else.
import type { ServerConfig } from '../../../config/config.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError } from '../../../core/errors.ts';
import { askWithin, type QuestionAnswer } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import type { ServerRequest } from '../wire/wire.ts';
import type { Owner } from './affinity.ts';
import type { InstanceIdentity, InstanceParts } from './instance.ts';

/** The instance that a request comes from, and the parts of its upstream that take part. */
type RequestSource = Pick<InstanceParts, 'server' | 'isolation' | 'urlElicitations'> &
  Pick<InstanceIdentity, 'id' | 'owner'>;

export class ServerRequestRouting {
  private readonly source: RequestSource;
  /** The roots that the owner's client gave last, or none. */
  private roots: JsonObject = { roots: [] };

  constructor(source: RequestSource) {
    this.source = source;
  }

  /** Passes a request on and returns the answer. Throws GatewayError, which the server gets. */
  async route(request: ServerRequest): Promise<QuestionAnswer> {
    const { owner, server, isolation, urlElicitations } = this.source;
    const { method, params, signal } = request;
    if (request.serverTask !== undefined && !request.exchange) return this.routeForTask(request, request.serverTask);
    // on an instance with an owner the roots are the owner's, however many calls run
    const isForOwnersRoots = method === 'roots/list' && owner !== undefined;
    // a task's request names its task, so it is no reason to isolate the server
    if (!isForOwnersRoots && request.serverTask === undefined)
      isolation.learn('asks', `it asked ${method.slice(0, BOUNDS.quotedMethod)}`);
    const exchange = request.exchange ?? ownersExchange(owner, request);
    if (exchange) {
      if (params.mode === 'url') urlElicitations.requested(request, owner);
      const answer = await exchange.ask({ method, params, signal });
      if (isForOwnersRoots && 'result' in answer) this.roots = answer.result;
      return answer;
    }
    // a modern client can be asked only during a call (wire.md, Questions 8), so it gets the last known roots
    if (isForOwnersRoots && isObject(owner.capabilities.roots)) return { result: this.roots };
    if (request.inFlight > 1) throw unattributable(server.config, request);
    throw new GatewayError('question_undeclared', `No caller of "${server.name}" is there to answer ${method}.`);
  }

  /** If a caller who is asked for a task leaves, the next one is asked (2025-11-25 basic/utilities/tasks, Input Required Status). */
  private routeForTask(request: ServerRequest, task: string): Promise<QuestionAnswer> {
    const { id, server } = this.source;
    return askWithin(BOUNDS.questionAge, request, async ({ method, params, signal }) => {
      for (let tries = 0; tries < BOUNDS.taskRequestCallers; tries++) {
        const exchange = await server.context.tasks.asker({ server: server.name, instance: id, task }, signal);
        if (!exchange) break;
        try {
          return await exchange.ask({ method, params, signal });
        } catch (error) {
          if (!(error instanceof GatewayError) || error.code !== 'cancelled' || signal.aborted) throw error;
        }
      }
      throw new GatewayError(
        'question_undeclared',
        `Nobody follows this task of "${server.name}" who could answer ${method}.`,
      );
    });
  }
}

function unattributable({ name, isolation }: ServerConfig, { inFlight }: ServerRequest): GatewayError {
  const next =
    isolation === 'shared'
      ? `It is shared because the configuration says so (isolation of "${name}").`
      : 'From now on each session has an instance of its own.';
  return new GatewayError(
    'question_unattributable',
    `${inFlight} calls of several callers are running here, and the question does not say which of them it belongs to. ${next}`,
  );
}

/** The owner's session, for a request that belongs to no call. Roots are the session's in any case (wire.md, Questions 8). */
function ownersExchange(owner: Owner | undefined, { method, inFlight }: ServerRequest): ServerRequest['exchange'] {
  return method === 'roots/list' || inFlight === 0 ? owner?.session?.standing : undefined;
}
