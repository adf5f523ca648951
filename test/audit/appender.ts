// Appends calls without end and prints the id of each record once it is committed: the victim of the kill -9 test.
import { AuditLog } from '../../src/audit/audit-log.ts';
import { intentOf, outcomeOf } from '../../src/audit/record.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { makeCall, makeContext, settlementOf } from './bare-call.ts';

const CALLERS = 8;

const log = AuditLog.open({
  folder: process.argv[2] ?? '',
  bounds: boundsWith({ auditSegment: Number(process.argv[3]) }),
});
await Promise.all(Array.from({ length: CALLERS }, callForEver));

async function callForEver(): Promise<never> {
  for (;;) {
    const call = makeCall();
    await log.append(intentOf(call, makeContext()));
    process.stdout.write(`intent ${call.id}\n`);
    await log.append(outcomeOf(call, settlementOf(new GatewayError('upstream_unreachable', 'x'))));
    process.stdout.write(`outcome ${call.id}\n`);
  }
}
