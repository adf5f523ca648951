// Owners of one state directory that are killed, or hold on to it, again and again under clients that joined them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, runCli, workspace } from '../integration/harness/gateway.ts';
import { killOwners } from '../integration/harness/takeovers.ts';

test('owners killed ten times in a row: every request has one answer, and the clients that joined go on', () =>
  killOwners(10));

test('where the owner has the lock and never opens its socket, one that starts gives up naming it', async () => {
  const place = workspace({});
  const holder = spawn(process.execPath, [join(ROOT, 'test/storage/owner.ts'), place.state, 'http://nowhere'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');

  const { status, stdout, stderr } = await runCli(['stdio', '--config', place.config, '--state', place.state]);
  holder.kill('SIGKILL');

  expect({ status, stdout }).toEqual({ status: 8, stdout: '' });
  expect(stderr).toContain(`in use by process ${holder.pid}`);
  place.remove();
});
