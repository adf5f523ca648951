// Task ids of the gateway: sealed, each names the server and the tool of its task, and is bound to one principal (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { TaskRef, Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Principal } from '../../core/principal.ts';
import { seal, unseal } from '../../protocol/mcp/sealed-state.ts';
import { randomHex } from '../../telemetry/trace.ts';
import type { Keyring } from '../../storage/keyring.ts';
import type { Created } from './legacy-tasks.ts';
import { createdIn, identityOf } from './upstream-task.ts';

/** No instance has this id. */
const NO_INSTANCE = '';

/** The content of an id. Its names are short, because every request about the task carries the id in a header. */
interface Content {
  readonly k: TaskRef['kind'];
  readonly s: string;
  readonly o: string;
  /** The exposed name; absent where it is the original. */
  readonly e?: string;
  readonly t: string;
  readonly i: string;
  /** The run of the gateway that the instance belongs to. */
  readonly r: string;
  readonly c?: string;
}

export class TaskIds {
  private readonly keyring: Keyring;
  /** The run of the gateway: each run numbers instances anew. */
  private readonly run = randomHex(4);

  constructor(keyring: Keyring) {
    this.keyring = keyring;
  }

  /** Makes the id of a server's task. Throws `upstream_protocol` where it would be too long. */
  name(principal: Principal, task: Omit<TaskRef, 'id'>): TaskRef {
    const { server, original, exposed } = task.target;
    const content: Content = {
      k: task.kind,
      s: server,
      o: original,
      ...(exposed !== original && { e: exposed }),
      t: task.upstreamId,
      i: task.instance,
      r: this.run,
      ...(task.createdAt !== undefined && { c: task.createdAt }),
    };
    const id = seal(JSON.stringify(content), bindingOf(principal), this.keyring.newest);
    if (id.length <= BOUNDS.taskIdLength) return { ...task, id };
    throw new GatewayError('upstream_protocol', `The server "${server}" made a task whose id is too long to be used.`);
  }

  /** The reference to a task that a server made of a call, with the id that its caller gets. Throws `upstream_protocol` where it has no usable id. */
  nameNew(kind: TaskRef['kind'], { call, to: { target }, answered }: Created): TaskRef {
    const identity = identityOf(target.server, createdIn(answered));
    return this.name(call.principal, { ...identity, kind, instance: answered.connection.instance, target });
  }

  /** The task that an id names; undefined for an id of another principal, or one that the gateway did not make. */
  open(principal: Principal, id: string): TaskRef | undefined {
    if (id.length > BOUNDS.taskIdLength) return undefined;
    const text = unseal(id, bindingOf(principal), this.keyring.all);
    if (text === undefined) return undefined;
    const { k, s, o, e, t, i, r, c } = JSON.parse(text) as Content;
    const target: Target = { kind: 'tool', server: s, original: o, exposed: e ?? o };
    return {
      id,
      kind: k,
      upstreamId: t,
      instance: r === this.run ? i : NO_INSTANCE,
      target,
      ...(c !== undefined && { createdAt: c }),
    };
  }
}

function bindingOf({ id }: Principal): string {
  return JSON.stringify(['task', id]);
}
