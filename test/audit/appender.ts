// Appends calls without end and prints the id of each record once it is committed: the victim of the kill -9 test.
import { AuditLog } from '../../src/audit/audit-log.ts';
import { failureOf, intentOf } from '../../src/audit/record.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { ALLOWED, makeCall } from './bare-call.ts';

const CALLERS = 8;

const log = AuditLog.open({ folder: process.argv[2] ?? '', segmentBytes: Number(process.argv[3]) });
await Promise.all(Array.from({ length: CALLERS }, callForEver));

async function callForEver(): Promise<never> {
  for (;;) {
    const call = makeCall();
    await log.append(intentOf(call, ALLOWED, 'c'));
    process.stdout.write(`intent ${call.id}\n`);
    await log.append(failureOf(call, new GatewayError('upstream_unreachable', 'x')));
    process.stdout.write(`outcome ${call.id}\n`);
  }
}
