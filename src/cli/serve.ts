// `mcp-gateway serve`: the gateway over HTTP.
import type { Config } from '../config/config.ts';
import { exposure, isLoopbackHost } from '../config/exposure.ts';
import { createFront } from '../downstream/http.ts';
import { exemptAddresses, IdleConnections } from '../downstream/idle-connections.ts';
import { listen } from '../downstream/listen.ts';
import { Peers, PeersUnknownError } from '../downstream/peers.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { type Command, integer, type Invocation, text } from './options.ts';
import { print, printJson } from './output.ts';
import type { Screen } from './screen.ts';
import { runGateway } from './run-gateway.ts';
import { loadOrExit, openLog } from './setup.ts';
import { untilSignal } from './signals.ts';
import { openLogger } from '../telemetry/logger.ts';
import { stateDirectoryOf } from './state-directory.ts';

export const serve: Command = {
  usage: '[--host HOST] [--port PORT]',
  options: { host: { type: 'string' }, port: { type: 'string' } },
  help: [
    ['--host HOST', 'address to bind, else listen.host; others than loopback want auth.tokens'],
    ['--port PORT', 'port to bind, else listen.port; 0 takes a free one'],
  ],
  examples: ({ typed }) => [`${typed} serve`, `${typed} serve --port 0 --json`],
  positionals: 0,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { flags, env } = invocation;
  const override = overrideOf(invocation);
  const stateDirectory = stateDirectoryOf(invocation);
  const loaded = loadOrExit(invocation, stateDirectory);
  const config = override(loaded.config);
  const { host, port } = config.listen;
  const refusal = exposure(config);
  if (refusal !== undefined) throw new ExitError(EXIT.configuration, refusal);
  const screen = await openScreen(invocation);
  const logger = screen
    ? await openLogger('warn', (line) => screen.log(line))
    : await openLog(invocation, 'info', process.stderr.isTTY ? 'text' : 'json');
  const ended = untilSignal();
  const running = await runGateway({
    ...loaded,
    config,
    override,
    bound: config.listen,
    logger,
    watcher: screen,
    env,
    stateDirectory,
  });
  const loopback = isLoopbackHost(host);
  const peers = loopback ? await openPeers(running.gateway) : undefined;
  const front = createFront({ gateway: running.gateway, network: { loopback, ...(peers && { peers }) } });
  let listening;
  try {
    listening = await listen(front.listener, {
      host,
      port,
      idle: new IdleConnections(exemptAddresses(config.listen.trustedProxies)),
    });
  } catch (error) {
    await running.stop();
    throw error;
  }
  const url = `${listening.url}/mcp`;
  running.announce(url);
  if (screen) screen.begin(running.gateway, { url, needsToken: config.auth.tokens.length > 0 });
  else if (flags.json) printJson({ url, urls: listening.urls.map((one) => `${one}/mcp`), pid: process.pid });
  else print(url);
  running.gateway.start();
  process.on('SIGHUP', () => void running.reload());
  const end = await Promise.race([ended, running.lost]);
  listening.stop();
  screen?.end();
  const stopping = 'stopping: no new calls, those in flight may finish within 10 s';
  if (screen) screen.tell(stopping);
  else logger.info(stopping);
  await running.drain();
  await front.close();
  await listening.finish();
  await running.stop();
  if (typeof end !== 'number') throw end;
  return end;
}

/** Only on a terminal, and not where the user asked for a log level: then the log is shown instead. */
async function openScreen({ flags, env }: Invocation): Promise<Screen | undefined> {
  const isSeen = process.stdout.isTTY && process.stderr.isTTY && flags.json !== true;
  const level = flags['log-level'] ?? env.MCP_GATEWAY_LOG_LEVEL;
  if (!isSeen || level !== undefined) return undefined;
  const { Screen } = await import('./screen.ts'); // a start that shows nothing need not load what measures text
  return new Screen(process.stdout);
}

/** Without it everybody on loopback is served, server processes too: said once, since no caller could be told apart. */
async function openPeers(gateway: Gateway): Promise<Peers | undefined> {
  try {
    return await Peers.open(() => gateway.startsProcesses);
  } catch (error) {
    if (!(error instanceof PeersUnknownError)) throw error;
    gateway.logger.warn(
      `server processes that call this gateway cannot be told from clients here: ${error.message}. Where a server is not trusted, configure auth.tokens.`,
    );
    return undefined;
  }
}

/** Flags stand above the file, at the start and at every reload. */
function overrideOf({ flags }: Invocation): (config: Config) => Config {
  const host = text(flags, 'host');
  const port = integer(flags, 'port', { min: 0, max: 65_535 });
  return (config) => ({
    ...config,
    listen: { ...config.listen, ...(host !== undefined && { host }), ...(port !== undefined && { port }) },
  });
}
