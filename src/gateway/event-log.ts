// Records events, which belong to no call, in the audit log, in the program's log and on the screen of `serve`; refused requests are counted first.
import type { AuditLog } from '../audit/audit-log.ts';
import { eventOf } from '../audit/record.ts';
import type { JsonObject } from '../core/json.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GatewayOptions } from './compose.ts';
import type { Watcher } from './watcher.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { ErrorCode, GatewayError } from '../core/errors.ts';

export class EventLog {
  private readonly audit: AuditLog;
  private readonly logger: Logger;
  private readonly watcher: Watcher | undefined;

  constructor(audit: AuditLog, { logger, watcher }: Pick<GatewayOptions, 'logger' | 'watcher'>) {
    this.audit = audit;
    this.logger = logger;
    this.watcher = watcher;
  }

  /** Records an event. Where the audit log cannot be written, the program's log and `/readyz` say so. */
  record(event: string, detail: JsonObject): void {
    this.logger.info(detail, event);
    this.watcher?.event(event, detail);
    void this.attempt(event, detail);
  }

  /** Writes an event into the audit log. Resolves also where that fails; then the program's log says so. */
  attempt(event: string, detail: JsonObject = {}): Promise<void> {
    return this.commit(event, detail).catch((error: unknown) =>
      this.logger.error({ err: error, event }, 'an event is missing from the audit log'),
    );
  }

  /** Writes an event into the audit log. Throws `audit_unavailable`. */
  commit(event: string, detail: JsonObject): Promise<void> {
    return this.audit.append(eventOf(event, detail));
  }
}

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

/** Records the first refusal of each kind at once, then a count once a minute, so that strangers cannot fill the log. */
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
