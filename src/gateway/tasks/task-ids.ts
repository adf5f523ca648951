// Task ids as clients know them: sealed, each names its server and its tool, and belongs to its principal (wire.md, Tasks).
import type { TaskRef, Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Principal } from '../../core/principal.ts';
import { seal, unseal } from '../../protocol/mcp/sealed-state.ts';
import { randomHex } from '../../telemetry/trace.ts';
import type { Keyring } from '../../storage/keyring.ts';

/** No id of ours is longer, in characters: it has to fit into the header of a request. */
const MAX_LENGTH = 12_288;

/** The id of no instance. */
const NO_INSTANCE = '';

/** What is inside, in as few characters as may be: an id travels in a header with every request about its task. */
interface Inside {
  readonly k: TaskRef['kind'];
  readonly s: string;
  readonly o: string;
  /** Absent where it is the original. */
  readonly e?: string;
  readonly t: string;
  readonly i: string;
  /** The run of the gateway in which the instance is the one. */
  readonly r: string;
  readonly c?: string;
}

export class TaskIds {
  private readonly keyring: Keyring;
  /** Instances are counted anew in each run. */
  private readonly run = randomHex(4);

  constructor(keyring: Keyring) {
    this.keyring = keyring;
  }

  /** Gives a server's task the id that its caller will know. Throws `upstream_protocol` where it would be too long to be used. */
  name(principal: Principal, task: Omit<TaskRef, 'id'>): TaskRef {
    const { server, original, exposed } = task.target;
    const inside: Inside = {
      k: task.kind,
      s: server,
      o: original,
      ...(exposed !== original && { e: exposed }),
      t: task.upstreamId,
      i: task.instance,
      r: this.run,
      ...(task.createdAt !== undefined && { c: task.createdAt }),
    };
    const id = seal(JSON.stringify(inside), bindingOf(principal), this.keyring.newest);
    if (id.length <= MAX_LENGTH) return { ...task, id };
    throw new GatewayError('upstream_protocol', `The server "${server}" made a task whose id is too long to be used.`);
  }

  /** The task that an id names; undefined for one that is not of this principal, or of nobody. */
  open(principal: Principal, id: string): TaskRef | undefined {
    if (id.length > MAX_LENGTH) return undefined;
    const text = unseal(id, bindingOf(principal), this.keyring.all);
    if (text === undefined) return undefined;
    const { k, s, o, e, t, i, r, c } = JSON.parse(text) as Inside;
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
