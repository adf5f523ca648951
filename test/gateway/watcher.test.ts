// What the watcher gets of calls: what the operator may see, not only what the caller may.
import { expect, test } from 'vitest';
import { GatewayError } from '../../src/core/errors.ts';
import { type EndedCall, watchStage } from '../../src/gateway/watcher.ts';
import { ECHO, makeCall, makeContext } from '../audit/bare-call.ts';
import { statusOfError } from '../../src/core/call-context.ts';

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
  const ends: EndedCall[] = [];
  const [call, ctx] = [makeCall(), makeContext()];
  const stage = watchStage({
    event: () => undefined,
    serverChanged: () => undefined,
    callEnded: (end) => ends.push(end),
    reloaded: () => undefined,
  });

  await expect(stage(call, ctx, () => Promise.reject(error))).rejects.toBe(error);
  expect(ends).toEqual([]);
  await ctx.failed(error);
  expect(ends).toEqual([{ call, target: ECHO, requested: ECHO.exposed, status: statusOfError(error), reason: told }]);
});
