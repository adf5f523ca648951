// The control socket: `local` there is who can read the key of the state directory, and no one else, whatever path leads to the socket.
import { once } from 'node:events';
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { STDIO_UPGRADE } from '../../src/downstream/control-protocol.ts';
import { proveControl } from '../../src/identity/control-proof.ts';
import { makeControlKey } from '../../src/storage/control-key.ts';
import { fixture, type RunningGateway, openGateway, workspace } from './harness/gateway.ts';
import { call, openSession, openSessions, ownerPid, split } from './harness/joined.ts';
import { modern, type Sent } from './harness/raw.ts';
import { temporaryFolder } from '../storage/temporary.ts';

const config = { mcpServers: { echo: fixture('echo-stdio.ts') } };

interface Told {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly body: string;
}

/** One request on the control socket as any process can send it; an upgrade that is granted has the status 101. */
async function onSocket({ state }: { readonly state: string }, sent: Sent): Promise<Told> {
  const { method = 'GET', path = '/', body } = sent;
  const asked = request({ socketPath: join(state, 'control.sock'), method, path, headers: { ...sent.headers } });
  asked.end(body);
  const granted = once(asked, 'upgrade').then(([response, socket]) => {
    (socket as { destroy(): void }).destroy();
    return response as IncomingMessage;
  });
  granted.catch(() => undefined);
  const answered = once(asked, 'response').then(([response]) => response as IncomingMessage);
  answered.catch(() => undefined);
  const response = await Promise.race([granted, answered]);
  const { statusCode: status = 0 } = response;
  return { status, challenge: response.headers['www-authenticate'], body: status === 101 ? '' : await text(response) };
}

const toolCall: Sent = {
  ...modern('tools/call', { name: 'echo__echo', arguments: { text: 'as local' } }),
  method: 'POST',
};
const joining: Sent = { path: '/', headers: { connection: 'Upgrade', upgrade: STDIO_UPGRADE } };

describe('Without the key of the state directory', () => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await openGateway({ config });
    await gateway.attempted();
  });
  afterAll(() => gateway.stop());

  const requests: [string, Sent][] = [
    ['calls no tool', toolCall],
    ['sees no server', { path: '/api/servers' }],
    ['learns not even that the gateway lives', { path: '/livez' }],
    ['joins no session', joining],
  ];

  test.each(requests)('a process that knows the socket %s', async (_what, sent) => {
    const foreign = makeControlKey(temporaryFolder());
    const proofs = [
      undefined,
      'Bearer x',
      proveControl(foreign, { method: sent.method ?? 'GET', url: sent.path ?? '/' }),
    ];

    for (const proof of proofs) {
      const more = proof === undefined ? {} : { authorization: proof };
      const told = await onSocket(gateway, { ...sent, headers: { ...sent.headers, ...more } });
      expect(told).toMatchObject({ status: 401, challenge: 'Control' });
      expect(JSON.parse(told.body)).toMatchObject({
        error: { code: -33030, data: { reason: 'control_key_required' } },
      });
      expect(told.body).toMatch(/control\.key.*mcp-gateway command.*restart/);
      expect(told.body).not.toContain(gateway.state);
    }
  });

  test('it is recorded, and the key is shown nowhere', async () => {
    await onSocket(gateway, toolCall);
    const { stdout } = await gateway.cli('audit', 'query', '--kind', 'event', '--json');
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string });
    const key = readFileSync(join(gateway.state, 'control.key'), 'utf8').trim();

    expect(events.filter(({ event }) => event === 'authentication_failed')).not.toEqual([]);
    expect(stdout).toContain('control socket');
    expect(stdout + gateway.log()).not.toContain(key);
  });

  test.skipIf(process.platform === 'win32')('the key is readable for its user alone', () => {
    expect(statSync(join(gateway.state, 'control.key')).mode & 0o777).toBe(0o600);
  });

  test('with it, the same requests are answered', async () => {
    expect((await gateway.cli('tools', 'call', 'echo__echo', '--args', '{"text": "mine"}')).stdout).toBe('mine\n');
    const session = await openSession(gateway);
    expect(await call(session, 'echo__echo', { text: 'joined' })).toBe('joined');
    expect(await session.end()).toBe(0);
  });
});

describe('A key file', () => {
  const harms: [string, (file: string) => void, RegExp][] = [
    ['is lost', (file) => rmSync(file), /control\.key is missing, damaged/],
    ['is cut short', (file) => writeFileSync(file, 'short'), /control\.key is missing, damaged/],
    ['holds another key', exchangeKey, /control\.key does not hold the key that the gateway made/],
  ];

  test.each(harms)('that %s is named by every command at once, and a restart mends it', async (_what, harm, words) => {
    const space = workspace(config);
    onTestFinished(() => space.remove());
    const first = await openGateway({ space });
    harm(join(space.state, 'control.key'));
    const answers = await Promise.all([first.cli('servers'), first.cli('tools', 'list'), first.cli('stdio')]);
    await first.stop();
    const second = await openGateway({ space });
    const after = await second.cli('servers');
    await second.stop();

    for (const { status, stdout, stderr } of answers) {
      expect([status, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(words);
      expect(stderr).toMatch(/Restart that gateway/);
    }
    expect(after.status).toBe(0);
  });

  test('of an owner that was killed is replaced by the one that takes over, and those that joined go on', async () => {
    const space = workspace(config);
    onTestFinished(() => space.remove());
    const { owner, joined } = split(space, await openSessions(space, 3));
    const before = readFileSync(join(space.state, 'control.key'), 'utf8');
    owner.process.kill('SIGKILL');
    for (const { inbox } of joined) await inbox.find({ method: 'notifications/tools/list_changed' });
    const echoes = await Promise.all(joined.map((pipe) => call(pipe, 'echo__echo', { text: 'after' })));

    expect(echoes).toEqual(['after', 'after']);
    expect(readFileSync(join(space.state, 'control.key'), 'utf8')).not.toBe(before);
    expect(ownerPid(space)).not.toBe(owner.process.pid);
    await Promise.all(joined.map((pipe) => pipe.end()));
  });
});

function exchangeKey(file: string): void {
  const folder = temporaryFolder();
  makeControlKey(folder);
  copyFileSync(join(folder, 'control.key'), file);
}
