// `requestState`: what a modern client carries from one round of questions to the next, sealed and bound to its call (wire.md, Questions 1).
import { createHash } from 'node:crypto';
import type { McpCall, Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import { seal, unseal } from '../../protocol/mcp/sealed-state.ts';
import type { Keyring } from '../../storage/keyring.ts';

/** The largest state of a server that is carried, in characters. */
const MAX_STATE = 64 * 1024;

/** How long a client may take to answer. */
const VALID_MS = 60 * 60_000;

/** The result that asks the caller something (2026-07-28 patterns/mrtr). */
export const INPUT_REQUIRED = 'input_required';

/** What a state of ours holds: a modern server's own state, or a round of questions of a call that waits at a legacy server. */
export interface RequestState {
  readonly upstream?: string;
  readonly parked?: { readonly key: string; readonly round: number };
}

/** Seals and opens states. One belongs to a principal, a method, a target and its arguments, and to nothing else. */
export class RequestStates {
  private readonly keyring: Keyring;
  /** Digests of arguments, for as long as these are there: one call asks several times. */
  private readonly digests = new WeakMap<object, string>();

  constructor(keyring: Keyring) {
    this.keyring = keyring;
  }

  /** The state of a call's retry; undefined on its first request. Throws `invalid_params` for one that is not of this call, or too old. */
  open(call: McpCall, target: Target): RequestState | undefined {
    if (call.params.requestState === undefined) return undefined;
    const state = this.valid(call, target);
    if (state) return state;
    throw staleState();
  }

  /** The same; undefined also for one that is not of this call, or too old. */
  valid(call: McpCall, target: Target): RequestState | undefined {
    const { requestState } = call.params;
    if (typeof requestState !== 'string') return undefined;
    const inside = unseal(requestState, this.bindingOf(call, target), this.keyring.all);
    if (inside === undefined) return undefined;
    const { until, ...state } = JSON.parse(inside) as RequestState & { until: number };
    return until >= Date.now() ? state : undefined;
  }

  seal(call: McpCall, target: Target, state: RequestState): string {
    const inside = JSON.stringify({ until: Date.now() + VALID_MS, ...state });
    return seal(inside, this.bindingOf(call, target), this.keyring.newest);
  }

  /** A modern server's question with its state inside ours. Throws `upstream_protocol` where the state cannot be carried. */
  wrap(call: McpCall, target: Target, result: JsonObject): JsonObject {
    const { requestState } = result;
    if (requestState === undefined) return result; // the server keeps nothing with the client: nothing to protect
    if (typeof requestState !== 'string' || requestState.length > MAX_STATE) {
      throw new GatewayError(
        'upstream_protocol',
        `The server "${target.server}" asked with a requestState that is not a string of at most ${MAX_STATE} characters.`,
      );
    }
    return { ...result, requestState: this.seal(call, target, { upstream: requestState }) };
  }

  private bindingOf({ principal, method, args = null }: McpCall, { server, original }: Target): string {
    return JSON.stringify([principal.id, method, server, original, this.digestOf(args)]);
  }

  private digestOf(args: JsonValue): string {
    if (typeof args !== 'object' || args === null) return digestOf(args);
    let digest = this.digests.get(args);
    if (digest === undefined) this.digests.set(args, (digest = digestOf(args)));
    return digest;
  }
}

/** The answer to a state that is not, or no longer, one of this call. */
export function staleState(): GatewayError {
  return new GatewayError(
    'invalid_params',
    '`params.requestState` is not valid for this call, or has expired: begin anew without it.',
  );
}

/** The digest of what a value says. */
export function digestOf(value: JsonValue): string {
  return createHash('sha256').update(canonical(value)).digest('base64url');
}

/** A value with more in it counts in the order in which it is written: to sort it would hold up everybody else. */
const MAX_SORTED = 2_000;

/** JSON with sorted keys: a client may write the same thing in another order when it asks again. */
function canonical(value: JsonValue): string {
  if (!isWithin(value, { left: MAX_SORTED })) return JSON.stringify(value);
  return JSON.stringify(value, (_key, inner: JsonValue) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

/** Whether a value has no more in it than `room.left`, in any order; looks at no more than that. */
function isWithin(value: JsonValue | undefined, room: { left: number }): boolean {
  if (--room.left < 0) return false;
  if (Array.isArray(value)) return value.every((inner) => isWithin(inner, room));
  if (!isObject(value)) return true;
  for (const key in value) if (!isWithin(value[key], room)) return false;
  return true;
}
