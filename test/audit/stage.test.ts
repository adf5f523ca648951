import { expect, test } from 'vitest';
import { queryAudit, type AuditRow } from '../../src/audit/query.ts';
import type { AuditRecord } from '../../src/audit/record.ts';
import { auditStage } from '../../src/audit/stage.ts';
import type { Decision } from '../../src/core/decision.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { ALLOWED, makeCall, makeReply, openLog } from './calls.ts';

const options = { decide: () => ALLOWED, configHash: 'c0ffee' };

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

test('the intent is committed before the call goes on, the outcome before the answer', async () => {
  const { log, folder } = openLog();
  const seen: (AuditRow | undefined)[] = [];
  const call = makeCall();

  const reply = await auditStage(log, options)(call, () => {
    seen.push(...queryAudit(folder));
    return Promise.resolve(makeReply());
  });
  seen.push(...queryAudit(folder));

  expect(reply).toEqual(makeReply());
  expect(seen).toMatchObject([
    { call: call.id, status: 'in flight', config: 'c0ffee', decision: ALLOWED },
    { call: call.id, status: 'ok', instance: 'everything#1' },
  ]);
});

test('a refusal is recorded with the decision that made it, and thrown as it was', async () => {
  const log = recordingLog();
  const decision: Decision = { allowed: false, rule: 'no-deletes', reason: 'robots may not delete' };
  const refusal = new GatewayError('unknown_target', 'Unknown tool');

  const answer = auditStage(log, { ...options, decide: () => decision })(makeCall(), () => Promise.reject(refusal));

  await expect(answer).rejects.toBe(refusal);
  expect(log.committed).toMatchObject([
    { kind: 'intent', decision },
    { kind: 'outcome', status: 'refused', error: 'unknown_target' },
  ]);
});

test('a call that its caller cancelled gets its outcome', async () => {
  const log = recordingLog();

  const answer = auditStage(log, options)(makeCall(), () => Promise.reject(new GatewayError('cancelled', 'x')));

  await expect(answer).rejects.toMatchObject({ code: 'cancelled' });
  expect(log.committed).toMatchObject([{ kind: 'intent' }, { kind: 'outcome', status: 'cancelled' }]);
});

test('a call is not made when its intent cannot be recorded', async () => {
  const log = recordingLog(() => true);
  let calls = 0;

  const answer = auditStage(log, options)(makeCall(), () => {
    calls += 1;
    return Promise.resolve(makeReply());
  });

  await expect(answer).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect(calls).toBe(0);
});

test.each([
  ['an answer', () => Promise.resolve(makeReply())],
  ['an error', () => Promise.reject(new GatewayError('upstream_closed', 'x'))],
])('%s is not given out when its outcome cannot be recorded', async (_, next) => {
  const log = recordingLog((record) => record.kind === 'outcome');

  await expect(auditStage(log, options)(makeCall(), next)).rejects.toMatchObject({ code: 'audit_unavailable' });
});
