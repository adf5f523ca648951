// Runs a gateway that serves over HTTP inside this process; `serve` adds the terminal and the signals.
import type { Config } from '../config/config.ts';
import { exposure, isLoopbackHost } from '../config/exposure.ts';
import { createFront } from '../downstream/http.ts';
import { exemptAddresses, IdleConnections, listen } from '../downstream/http-servers.ts';
import { Peers, PeersUnknownError } from '../downstream/peers.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { integer, type Invocation, text } from './options.ts';
import { loadOrExit, runGateway, type RunOptions } from './run-gateway.ts';
import { stateDirectoryOf } from './state-directory.ts';

/** The options of a serving gateway without its logger. */
export type ServingOptions = Omit<RunOptions, 'logger' | 'watcher' | 'bound'>;

export type Serving = Awaited<ReturnType<typeof openServing>>;

/** Reads the options from a command line and the configuration. Throws ExitError. */
export function readServing(invocation: Invocation): ServingOptions {
  const override = overrideOf(invocation);
  const stateDirectory = stateDirectoryOf(invocation);
  const loaded = loadOrExit(invocation, stateDirectory);
  const config = override(loaded.config);
  const refusal = exposure(config);
  if (refusal !== undefined) throw new ExitError(EXIT.configuration, refusal);
  return { ...loaded, config, override, stateDirectory, env: invocation.env };
}

/** Opens the gateway and listens; the caller starts the servers. Throws StateError and ListenError. */
export async function openServing(options: ServingOptions & Pick<RunOptions, 'logger' | 'watcher'>) {
  const { listen: bound } = options.config;
  const running = await runGateway({ ...options, bound });
  const loopback = isLoopbackHost(bound.host);
  const peers = loopback ? await openPeers(running.gateway) : undefined;
  const { gateway, limits } = running;
  const front = createFront({ gateway, limits, network: { loopback, ...(peers && { peers }) } });
  let listening;
  try {
    const idle = new IdleConnections(exemptAddresses(bound.trustedProxies));
    listening = await listen(front.listener, { host: bound.host, port: bound.port, idle });
  } catch (error) {
    await running.stop();
    throw error;
  }
  const url = `${listening.url}/mcp`;
  running.announce(url);
  return {
    gateway,
    url,
    urls: listening.urls.map((one) => `${one}/mcp`),
    /** Resolves when the gateway has lost its state directory, and has to stop. */
    lost: running.lost,
    reload: running.reload,
    /** Accepts no connection any more; calls in flight have some time to finish. */
    stop: async () => {
      listening.stop();
      await running.drain();
      await front.close();
      await listening.finish();
      await running.stop();
    },
  };
}

/** Warns once if the look-up does not work here: then the gateway serves every process on loopback, also those of servers. */
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

/** Flags override the configuration, at the start and at every reload. */
function overrideOf({ flags }: Invocation): (config: Config) => Config {
  const host = text(flags, 'host');
  const port = integer(flags, 'port', { min: 0, max: 65_535 });
  return (config) => ({
    ...config,
    listen: { ...config.listen, ...(host !== undefined && { host }), ...(port !== undefined && { port }) },
  });
}
