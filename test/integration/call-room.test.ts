// How much calls in flight may hold of what their callers sent.
import { expect, test } from 'vitest';
import { startAsking, told } from './harness/asking.ts';
import { kept, openTried } from './harness/kept.ts';
import { errorOf, modern, resultOf, send } from './harness/raw.ts';
import { recordsOf } from './harness/tasks.ts';

test('requests that take much memory are refused while others of their caller are in flight, and not when those have ended', async () => {
  const open = Promise.withResolvers<undefined>();
  const begun = Array.from({ length: 6 }, () => Promise.withResolvers<undefined>());
  let count = 0;
  const server = await kept(
    startAsking({
      slow: async () => {
        begun[count++]?.resolve(undefined);
        await open.promise;
        return told('done');
      },
    }),
  );
  const gateway = await openTried({
    config: { limits: { items: 1_000_000 }, mcpServers: { s: { url: server.url } } },
  });
  // 2.7 MB each, and 43 MB in memory
  const wide = Array.from({ length: 900_000 }, () => []);
  const call = (name: string, args: object) =>
    send(gateway.origin, modern('tools/call', { name, arguments: { ...args } }));
  const flying = Array.from({ length: 6 }, () => call('s__slow', { wide }));
  await Promise.all(begun.map(({ promise }) => promise));
  const refused = await call('s__slow', { wide });
  open.resolve(undefined);

  expect([refused.status, errorOf(refused)]).toMatchObject([503, { data: { reason: 'overloaded', retryable: true } }]);
  for (const answer of await Promise.all(flying)) expect(resultOf(answer)).toMatchObject({ resultType: 'complete' });
  expect(resultOf(await call('s__slow', { wide }))).toMatchObject({ resultType: 'complete' });
  expect(await recordsOf(gateway, '--status', 'refused')).toMatchObject([{ error: 'overloaded' }]);
});
