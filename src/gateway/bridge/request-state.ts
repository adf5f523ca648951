// Seals and opens `requestState`, which a modern client sends back with its retry; each is bound to one call (wire.md, Questions 1).
import { createHash } from 'node:crypto';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall, Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import { seal, unseal } from '../../protocol/mcp/sealed-state.ts';
import type { Keyring } from '../../storage/keyring.ts';
import { BoundedMap } from '../../core/bounded-map.ts';

/** The `resultType` of a result that asks the client questions (2026-07-28 patterns/mrtr). */
export const INPUT_REQUIRED = 'input_required';

/** The content of a state of the gateway: the state of a modern server, or the round of a parked call at a legacy server. */
export interface RequestState {
  readonly upstream?: string;
  readonly parked?: { readonly key: string; readonly round: number };
}

/** Each state is bound to a principal, a method, a target and arguments. */
export class RequestStates {
  private readonly keyring: Keyring;
  /** Digests by the arguments object: one call needs its digest several times. */
  private readonly digests = new WeakMap<object, string>();
  /** Digests of the states of modern servers that a retry carried. */
  private readonly used = new BoundedMap<string, true>({ most: BOUNDS.usedRequestStates });

  constructor(keyring: Keyring) {
    this.keyring = keyring;
  }

  /** The content of the state that a retry carries; undefined for a first request. Throws `invalid_params` for a state of another call, or an expired one. */
  open(call: McpCall, target: Target): RequestState | undefined {
    if (call.params.requestState === undefined) return undefined;
    const state = this.valid(call, target);
    if (state) return state;
    throw staleState();
  }

  /** The same, but undefined for a state of another call, or an expired one. */
  private valid(call: McpCall, target: Target): RequestState | undefined {
    const { requestState } = call.params;
    if (typeof requestState !== 'string') return undefined;
    const content = unseal(requestState, this.bindingOf(call, target), this.keyring.all);
    if (content === undefined) return undefined;
    const { until, ...state } = JSON.parse(content) as RequestState & { until: number };
    return until >= Date.now() ? state : undefined;
  }

  /**
   * Whether a request is a further round of a call. A request with the state of a parked call always is, because it starts nothing at the
   * server. With the state of a modern server only the first is, because the server runs the call anew for each.
   */
  isFurtherRound(call: McpCall, target: Target): boolean {
    const { requestState } = call.params;
    if (requestState === undefined || call.era === 'legacy') return false;
    const state = this.valid(call, target);
    if (!state || state.parked) return state !== undefined;
    const digest = digestOf(requestState);
    if (this.used.has(digest)) return false;
    this.used.set(digest, true);
    return true;
  }

  seal(call: McpCall, target: Target, state: RequestState): string {
    const content = JSON.stringify({ until: Date.now() + BOUNDS.requestStateAge, ...state });
    return seal(content, this.bindingOf(call, target), this.keyring.newest);
  }

  /** The result of a modern server with its state sealed inside one of the gateway. Throws `upstream_protocol` where the state is too long. */
  wrap(call: McpCall, target: Target, result: JsonObject): JsonObject {
    const { requestState } = result;
    if (requestState === undefined) return result;
    if (typeof requestState !== 'string' || requestState.length > BOUNDS.serverRequestState) {
      throw new GatewayError(
        'upstream_protocol',
        `The server "${target.server}" asked with a requestState that is not a string of at most ${BOUNDS.serverRequestState} characters.`,
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

/** The error for a state of another call, or an expired one. */
export function staleState(): GatewayError {
  return new GatewayError(
    'invalid_params',
    '`params.requestState` is not valid for this call, or has expired: begin anew without it.',
  );
}

/** A digest that is the same for objects with the same members in another order. */
export function digestOf(value: JsonValue): string {
  return createHash('sha256').update(canonical(value)).digest('base64url');
}

/** JSON with sorted keys, because a client may write its arguments in another order when it retries. A large value is not sorted. */
function canonical(value: JsonValue): string {
  if (!isWithin(value, { left: BOUNDS.sortedArguments })) return JSON.stringify(value);
  return JSON.stringify(value, (_key, inner: JsonValue) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

/** Whether a value consists of at most `room.left` values; visits no more than that. */
function isWithin(value: JsonValue | undefined, room: { left: number }): boolean {
  if (--room.left < 0) return false;
  if (Array.isArray(value)) return value.every((inner) => isWithin(inner, room));
  if (!isObject(value)) return true;
  for (const key in value) if (!isWithin(value[key], room)) return false;
  return true;
}
