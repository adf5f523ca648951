// Opens the sockets to one HTTP server: pool, proxies, TLS, time limits.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Undici from 'undici';
import type { ServerConfig } from '../../../config/config.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';

/** The HTTP client: a hundred modules, which are loaded when the first server at a URL needs them, and not when this module is imported. */
function loadUndici(): typeof Undici {
  return createRequire(import.meta.url)('undici') as typeof Undici;
}

/** Opens the pool of one server; through a proxy if the environment names one (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). */
export function openDispatcher(
  origin: string,
  { timeouts, tls }: Pick<ServerConfig, 'timeouts' | 'tls'>,
  env: NodeJS.ProcessEnv,
): Undici.Dispatcher {
  const shared = {
    connect: { timeout: timeouts.connect, ...readTls(tls) },
    headersTimeout: timeouts.firstByte,
    bodyTimeout: timeouts.idle,
    connections: BOUNDS.upstreamSockets,
    keepAliveTimeout: BOUNDS.upstreamSocketIdle,
    pipelining: 1,
  };
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY;
  const { EnvHttpProxyAgent, Pool } = loadUndici();
  if (!httpProxy && !httpsProxy) return new Pool(origin, shared);
  const noProxy = env.no_proxy ?? env.NO_PROXY;
  return new EnvHttpProxyAgent({
    ...shared,
    ...(httpProxy && { httpProxy }),
    ...(httpsProxy && { httpsProxy }),
    ...(noProxy !== undefined && { noProxy }),
    requestTls: shared.connect,
    proxyTls: { timeout: timeouts.connect },
  });
}

function readTls(tls: ServerConfig['tls']): Record<string, unknown> {
  if (!tls) return {};
  const { ca, cert, key, ...rest } = tls;
  const files = Object.entries({ ca, cert, key }).flatMap(([name, file]) =>
    file === undefined ? [] : [[name, readTlsFile(name, file)] as const],
  );
  return { ...Object.fromEntries(files), ...rest };
}

function readTlsFile(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new GatewayError('upstream_unreachable', `tls.${name} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}
