// A gateway that serves over HTTP inside this process: what `serve` runs, without its terminal and its signals.
import type { Config } from '../config/config.ts';
import { exposure, isLoopbackHost } from '../config/exposure.ts';
import { createFront } from '../downstream/http.ts';
import { exemptAddresses, IdleConnections } from '../downstream/idle-connections.ts';
import { listen } from '../downstream/listen.ts';
import { Peers, PeersUnknownError } from '../downstream/peers.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { StateError } from '../storage/state-error.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { integer, type Invocation, text } from './options.ts';
import { runGateway, type RunOptions } from './run-gateway.ts';
import { loadOrExit } from './setup.ts';
import { stateDirectoryOf } from './state-directory.ts';

/** What a gateway serves with; the caller adds where it logs. */
export type ServingOptions = Omit<RunOptions, 'logger' | 'watcher' | 'bound'>;

export interface Serving {
  readonly gateway: Gateway;
  readonly url: string;
  readonly urls: readonly string[];
  /** Resolves when the state directory is not its own any more: it has to end. */
  readonly lost: Promise<StateError>;
  reload(): Promise<void>;
  /** Takes no connection from the moment that it is called; calls in flight may finish within 10 s. */
  stop(): Promise<void>;
}

/** Reads what a command line asks for. Throws ExitError. */
export function readServing(invocation: Invocation): ServingOptions {
  const override = overrideOf(invocation);
  const stateDirectory = stateDirectoryOf(invocation);
  const loaded = loadOrExit(invocation, stateDirectory);
  const config = override(loaded.config);
  const refusal = exposure(config);
  if (refusal !== undefined) throw new ExitError(EXIT.configuration, refusal);
  return { ...loaded, config, override, stateDirectory, env: invocation.env };
}

/** Opens the gateway and listens; its servers are started by the caller. Throws StateError and ListenError. */
export async function openServing(options: ServingOptions & Pick<RunOptions, 'logger' | 'watcher'>): Promise<Serving> {
  const { listen: bound } = options.config;
  const running = await runGateway({ ...options, bound });
  const loopback = isLoopbackHost(bound.host);
  const peers = loopback ? await openPeers(running.gateway) : undefined;
  const front = createFront({ gateway: running.gateway, network: { loopback, ...(peers && { peers }) } });
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
    gateway: running.gateway,
    url,
    urls: listening.urls.map((one) => `${one}/mcp`),
    lost: running.lost,
    reload: () => running.reload(),
    stop: async () => {
      listening.stop();
      await running.drain();
      await front.close();
      await listening.finish();
      await running.stop();
    },
  };
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
