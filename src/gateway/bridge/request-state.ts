// `requestState` between a modern client and a modern server: the server's state travels inside ours (wire.md, Questions 1).
import { createHash } from 'node:crypto';
import { type Call, type Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import { seal, unseal } from '../../protocol/mcp/sealed-state.ts';
import { type Keyring } from '../../storage/keyring.ts';

/** The largest state of a server that is carried, in characters. */
const MAX_STATE = 64 * 1024;

/** How long a client may take to answer. */
const VALID_MS = 60 * 60_000;

/** The result that asks the caller something (2026-07-28 patterns/mrtr). */
export const INPUT_REQUIRED = 'input_required';

/** Binds a server's state to the call that it was given for: the same principal, target and arguments. */
export class RequestStates {
  private readonly keyring: Keyring;

  constructor(keyring: Keyring) {
    this.keyring = keyring;
  }

  /** The result with the server's state sealed. Throws `upstream_protocol` where the state cannot be carried. */
  wrap(call: Call, target: Target, result: JsonObject): JsonObject {
    const { requestState } = result;
    if (requestState === undefined) return result; // the server keeps nothing with the client: nothing to protect
    if (typeof requestState !== 'string' || requestState.length > MAX_STATE) {
      throw new GatewayError(
        'upstream_protocol',
        `The server "${target.server}" asked with a requestState that is not a string of at most ${MAX_STATE} characters.`,
      );
    }
    const inside = JSON.stringify({ until: Date.now() + VALID_MS, state: requestState });
    return { ...result, requestState: seal(inside, bindingOf(call, target), this.keyring.newest) };
  }

  /** The params with the server's own state taken out of ours. Throws `invalid_params` for a state that is not of this call. */
  unwrap(call: Call, target: Target, params: JsonObject): JsonObject {
    const { requestState } = params;
    if (requestState === undefined || call.era !== 'modern') return params;
    const inside =
      typeof requestState === 'string' ? unseal(requestState, bindingOf(call, target), this.keyring.all) : undefined;
    const { until, state } = inside === undefined ? {} : (JSON.parse(inside) as { until: number; state: string });
    if (until === undefined || state === undefined || until < Date.now()) {
      throw new GatewayError(
        'invalid_params',
        '`params.requestState` is not valid for this call, or has expired: begin anew without it.',
      );
    }
    return { ...params, requestState: state };
  }
}

function bindingOf({ principal, method, params }: Call, { server, original }: Target): string {
  const digest = createHash('sha256')
    .update(canonical(params.arguments ?? null))
    .digest('base64url');
  return JSON.stringify([principal.id, method, server, original, digest]);
}

/** JSON with sorted keys: a client may write the same arguments in another order when it asks again. */
function canonical(value: JsonValue): string {
  return JSON.stringify(value, (_key, inner: JsonValue) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
