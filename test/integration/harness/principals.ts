// Two principals who share everything that there is to share: one gateway, its servers, their processes and connections.
import { ECHO_ERRANDS, type Errand } from './colliding-clients.ts';
import { fixture, type RunningGateway, openGateway } from './gateway.ts';
import { startServer } from './servers.ts';

export const ALICE = 'alice-token-0123456789-abcdefghij';
export const BOB = 'bob-token-0123456789-abcdefghijkl';

/** Their part of a configuration; the environment holds what it refers to. */
export const AUTH = {
  tokens: [
    { id: 'alice', token: '${env:ALICE}' },
    { id: 'bob', token: '${env:BOB}' },
  ],
};

/** Starts a gateway for both, with a server on a pipe (`echo`), one behind a shared session (`web`) and a modern one. */
export async function startShared(): Promise<{ gateway: RunningGateway; stop: () => Promise<void> }> {
  // on a starved machine a call may come just when an idle connection is closed, which is no matter of principals
  const web = await startServer('sdk-server.ts', '--era', 'legacy', '--keep-alive', '65000');
  const modern = await startServer('sdk-server.ts', '--era', 'modern', '--scheme', 'modern');
  const gateway = await openGateway({
    config: {
      auth: AUTH,
      mcpServers: { echo: fixture('echo-stdio.ts'), web: { url: web.url }, modern: { url: modern.url } },
    },
    args: ['--log-level', 'warn'],
    env: { ALICE, BOB },
  });
  await gateway.attempted();
  return {
    gateway,
    stop: async () => {
      await gateway.stop();
      await Promise.all([web.stop(), modern.stop()]);
    },
  };
}

/** Calls of both servers in turn: by pipe and by session, with progress and with log lines. */
export const SHARED_ERRANDS: readonly Errand[] = [
  { every: 10, tool: 'web__log', args: (secret) => ({ text: secret }), text: () => 'logged' },
  { every: 2, tool: 'web__echo', args: (secret) => ({ text: secret }), text: (secret) => secret },
  ...ECHO_ERRANDS.map((errand) => ({ ...errand, every: errand.every === 1 ? 1 : 5 })),
];
