// Records events, which belong to no call: in the audit log, in the program's log, and on the screen of `serve`.
import type { AuditLog } from '../audit/audit-log.ts';
import { eventOf } from '../audit/record.ts';
import type { JsonObject } from '../core/json.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Watcher } from './watcher.ts';

export interface EventLogParts {
  readonly audit: Pick<AuditLog, 'append'>;
  readonly logger: Logger;
  readonly watcher: Watcher | undefined;
}

export class EventLog {
  private readonly parts: EventLogParts;

  constructor(parts: EventLogParts) {
    this.parts = parts;
  }

  /** Records an event. Where the audit log cannot be written, the program's log and `/readyz` say so. */
  record(event: string, detail: JsonObject): void {
    const { logger, watcher } = this.parts;
    logger.info(detail, event);
    watcher?.event(event, detail);
    void this.attempt(event, detail);
  }

  /** Writes an event into the audit log. Resolves also where that fails; then the program's log says so. */
  attempt(event: string, detail: JsonObject = {}): Promise<void> {
    const { logger } = this.parts;
    return this.commit(event, detail).catch((error: unknown) =>
      logger.error({ err: error, event }, 'an event is missing from the audit log'),
    );
  }

  /** Writes an event into the audit log. Throws `audit_unavailable`. */
  commit(event: string, detail: JsonObject): Promise<void> {
    return this.parts.audit.append(eventOf(event, detail));
  }
}
