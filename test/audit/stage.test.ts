// No call is sent before its intent is committed, no answer leaves before its outcome is.
import { expect, test } from 'vitest';
import { queryAudit, type AuditRow } from '../../src/audit/query.ts';
import type { AuditRecord } from '../../src/audit/record.ts';
import { type AuditLog, auditStage, commitStage } from '../../src/audit/audit-log.ts';
import type { Decision } from '../../src/core/decision.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { compose, type Handler } from '../../src/core/call-context.ts';
import { ALLOWED, makeCall, makeContext, makeReply, openLog } from './calls.ts';

type Log = Pick<AuditLog, 'append'>;

/** A log that says when it has committed, and refuses what it is told to. */
function recordingLog(refuses: (record: AuditRecord) => boolean = () => false) {
  const committed: AuditRecord[] = [];
  return {
    committed,
    append(record: AuditRecord): Promise<void> {
      return new Promise((resolve, reject) => {
        setImmediate(() => {
          if (refuses(record)) {
            reject(new GatewayError('audit_unavailable', 'no disk'));
            return;
          }
          committed.push(record);
          resolve();
        });
      });
    },
  };
}

/** A call that is recorded around this handler, and committed before it. */
const recorded = (log: Log, next: Handler) => compose([auditStage(log), commitStage(log)], next);

test('the intent is committed before the call goes on, the outcome before it is settled', async () => {
  const { log, folder } = openLog();
  const seen: (AuditRow | undefined)[] = [];
  const [call, ctx] = [makeCall(), makeContext()];

  const handle = recorded(log, () => {
    seen.push(...queryAudit(folder));
    expect(ctx.isCommitted).toBe(true);
    return Promise.resolve(makeReply());
  });
  const reply = await handle(call, ctx);
  expect(await ctx.answered(makeReply())).toBeUndefined();
  seen.push(...queryAudit(folder));

  expect(reply).toEqual(makeReply());
  expect(seen).toMatchObject([
    { call: call.id, status: 'in flight', config: 'c', decision: ALLOWED },
    { call: call.id, status: 'ok', instance: 'everything#1' },
  ]);
});

test('a refusal is recorded with the decision that made it, and thrown as it was', async () => {
  const log = recordingLog();
  const decision: Decision = { allowed: false, rule: 'no-deletes', reason: 'robots may not delete' };
  const refusal = new GatewayError('unknown_target', 'Unknown tool');
  const ctx = makeContext({ decision });

  const answer = auditStage(log)(makeCall(), ctx, () => Promise.reject(refusal));

  await expect(answer).rejects.toBe(refusal);
  expect(await ctx.failed(refusal)).toBeUndefined();
  expect(log.committed).toMatchObject([
    { kind: 'intent', decision },
    { kind: 'outcome', status: 'refused', error: 'unknown_target' },
  ]);
});

test('a call that its caller cancelled gets its outcome, and its intent is not written twice', async () => {
  const log = recordingLog();
  const ctx = makeContext();
  const cancelled = new GatewayError('cancelled', 'x');

  await expect(recorded(log, () => Promise.reject(cancelled))(makeCall(), ctx)).rejects.toBe(cancelled);
  expect(await ctx.failed(cancelled)).toBeUndefined();
  expect(log.committed).toMatchObject([{ kind: 'intent' }, { kind: 'outcome', status: 'cancelled' }]);
});

test('a call is not made when its intent cannot be recorded', async () => {
  const log = recordingLog(() => true);
  let calls = 0;
  const ctx = makeContext();

  const answer = recorded(log, () => {
    calls += 1;
    return Promise.resolve(makeReply());
  })(makeCall(), ctx);

  await expect(answer).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect([calls, ctx.isCommitted]).toEqual([0, false]);
});

test('a refusal fails too when its intent cannot be recorded, though its outcome can', async () => {
  const log = recordingLog((record) => record.kind === 'intent');
  const ctx = makeContext();
  await auditStage(log)(makeCall(), ctx, () => Promise.resolve(makeReply()));

  expect(await ctx.failed(new GatewayError('overloaded', 'x'))).toMatchObject({ code: 'audit_unavailable' });
});

test.each([
  ['an answer', (ctx: ReturnType<typeof makeContext>) => ctx.answered(makeReply())],
  ['an error', (ctx: ReturnType<typeof makeContext>) => ctx.failed(new GatewayError('upstream_closed', 'x'))],
])('%s is not given out when its outcome cannot be recorded', async (_, settle) => {
  const log = recordingLog((record) => record.kind === 'outcome');
  const ctx = makeContext();
  await recorded(log, () => Promise.resolve(makeReply()))(makeCall(), ctx);

  expect(await settle(ctx)).toMatchObject({ code: 'audit_unavailable' });
});
