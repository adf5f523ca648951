// Replies and a log for tests of the record.
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { AuditLog, type AuditLogOptions } from '../../src/audit/audit-log.ts';
import type { ResultReply } from '../../src/core/reply.ts';
import { temporaryFolder } from '../storage/temporary.ts';

export { ALLOWED, makeCall, makeContext, settlementOf } from './bare-call.ts';

/** An answer of the server `everything`. */
export function makeReply(result = {}): ResultReply {
  return {
    kind: 'result',
    result,
    origin: { server: 'everything', instance: 'everything#1', era: 'legacy', transport: 'stdio', bytes: 45 },
  };
}

/** Opens a log in a folder of its own, closed when the test is over. */
export function openLog(options: Partial<AuditLogOptions> = {}): { log: AuditLog; folder: string } {
  const folder = options.folder ?? join(temporaryFolder(), 'audit');
  const log = AuditLog.open({ ...options, folder });
  onTestFinished(() => log.close());
  return { log, folder };
}
