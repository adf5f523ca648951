// What somebody who looks on is told of calls: as the operator, not as the caller.
import { expect, test } from 'vitest';
import type { Call } from '../../src/core/call.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { watchStage } from '../../src/gateway/watcher.ts';

const CALL = {} as Call;

test.for([
  [
    'a denied call by what denied it',
    new GatewayError('unknown_target', 'Unknown tool: a', { detail: 'x.tools.deny: the pattern "a" denies it' }),
    'denied by x.tools.deny: the pattern "a" denies it',
  ],
  ['an unknown name as its caller is', new GatewayError('unknown_target', 'Unknown tool: a'), 'Unknown tool: a'],
  [
    'a failure with what callers are not told',
    new GatewayError('upstream_closed', 'It ended.', { detail: 'Its last words on stderr: no disk' }),
    'It ended. Its last words on stderr: no disk',
  ],
] as const)('%s', async ([, error, told]) => {
  const reasons: unknown[] = [];
  const stage = watchStage({
    event: () => undefined,
    serverChanged: () => undefined,
    callEnded: (_call, _status, reason) => reasons.push(reason),
    reloaded: () => undefined,
  });

  await expect(stage(CALL, () => Promise.reject(error))).rejects.toBe(error);
  expect(reasons).toEqual([told]);
});
