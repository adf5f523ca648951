// Records requests that never became a call: the first of each kind at once, then a count once a minute, so that strangers cannot fill the log.
import { BoundedMap } from '../core/bounded-map.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { ErrorCode, GatewayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

/** The events of refusals because of who is calling. All others are `request_refused`. */
const EVENTS: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'authentication_failed',
  forbidden_process: 'authentication_failed',
  control_key_required: 'authentication_failed',
  session_unknown: 'session_refused',
};

/** The refused caller, as far as the gateway knows it. */
export interface Refused {
  readonly address?: string | undefined;
  readonly principal?: string | undefined;
}

export class Refusals {
  private readonly kinds = new BoundedMap<string, { recordedAt: number; unrecorded: number }>({
    most: BOUNDS.refusalKinds,
  });
  private readonly record: (event: string, detail: JsonObject) => void;
  private readonly now: () => number;

  constructor(record: (event: string, detail: JsonObject) => void, now: () => number = () => performance.now()) {
    this.record = record;
    this.now = now;
  }

  add({ code, message, detail }: GatewayError, { address = '', principal }: Refused): void {
    const event = EVENTS[code];
    // the message of a `request_refused` may repeat what a stranger wrote
    const reason = event === undefined ? code : (detail ?? message);
    const now = this.now();
    const kind = `${address}\n${principal ?? ''}\n${reason}`;
    const known = this.kinds.get(kind);
    if (known && now - known.recordedAt < BOUNDS.refusalQuiet) {
      known.unrecorded++;
      return;
    }
    this.kinds.set(kind, { recordedAt: now, unrecorded: 0 });
    const attempts = (known?.unrecorded ?? 0) + 1;
    this.record(event ?? 'request_refused', {
      address,
      ...(principal !== undefined && { principal }),
      reason,
      attempts,
    });
  }
}
