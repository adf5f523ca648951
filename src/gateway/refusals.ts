// Requests that never became a call, as events of the record: each kind is told of at once, then counted, so that strangers cannot fill the log.
import { BoundedMap } from '../core/bounded-map.ts';
import type { ErrorCode, GatewayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

/** How long further refusals of the same kind are only counted. */
const QUIET_MS = 60_000;

/** Most kinds of refusals (of an address, a principal and a reason) that are told apart at a time. */
const MAX_KINDS = 1_000;

/** The events of refusals that say who is calling; all others are about what is sent. */
const EVENTS: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'authentication_failed',
  forbidden_process: 'authentication_failed',
  control_key_required: 'authentication_failed',
  session_unknown: 'session_refused',
};

/** Who was refused, as far as that is known. */
export interface Refused {
  readonly address?: string | undefined;
  readonly principal?: string | undefined;
}

/** Decides which refusals are recorded: the first of a kind, and then one a minute with the count of all. */
export class Refusals {
  private readonly kinds = new BoundedMap<string, { toldAt: number; untold: number }>({ most: MAX_KINDS });
  private readonly record: (event: string, detail: JsonObject) => void;
  private readonly now: () => number;

  constructor(record: (event: string, detail: JsonObject) => void, now: () => number = () => performance.now()) {
    this.record = record;
    this.now = now;
  }

  add({ code, message, detail }: GatewayError, { address = '', principal }: Refused): void {
    const event = EVENTS[code];
    // the message of what is sent may say again what a stranger wrote
    const reason = event === undefined ? code : (detail ?? message);
    const now = this.now();
    const kind = `${address}\n${principal ?? ''}\n${reason}`;
    const known = this.kinds.get(kind);
    if (known && now - known.toldAt < QUIET_MS) {
      known.untold++;
      return;
    }
    this.kinds.set(kind, { toldAt: now, untold: 0 });
    const attempts = (known?.untold ?? 0) + 1;
    this.record(event ?? 'request_refused', {
      address,
      ...(principal !== undefined && { principal }),
      reason,
      attempts,
    });
  }
}
