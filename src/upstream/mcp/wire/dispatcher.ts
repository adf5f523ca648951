// Opens the sockets to one HTTP server: pool, proxies, TLS, time limits.
import { readFileSync } from 'node:fs';
import { type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';

export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

export interface DispatcherOptions {
  readonly origin: string;
  readonly tls?: TlsOptions;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** The environment with HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  readonly env: NodeJS.ProcessEnv;
}

/** Opens the pool of one server; through a proxy if the environment names one. */
export function openDispatcher(options: DispatcherOptions): Dispatcher {
  const { env } = options;
  const shared = {
    connect: { timeout: options.connectMs, ...readTls(options.tls) },
    headersTimeout: options.firstByteMs,
    bodyTimeout: options.idleMs,
    connections: BOUNDS.upstreamSockets,
    keepAliveTimeout: BOUNDS.upstreamSocketIdle,
    pipelining: 1,
  };
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY;
  if (!httpProxy && !httpsProxy) return new Pool(options.origin, shared);
  const noProxy = env.no_proxy ?? env.NO_PROXY;
  return new EnvHttpProxyAgent({
    ...shared,
    ...(httpProxy && { httpProxy }),
    ...(httpsProxy && { httpsProxy }),
    ...(noProxy !== undefined && { noProxy }),
    requestTls: shared.connect,
    proxyTls: { timeout: options.connectMs },
  });
}

function readTls(tls: TlsOptions | undefined): Record<string, unknown> {
  if (!tls) return {};
  const read = (name: 'ca' | 'cert' | 'key') => {
    const file = tls[name];
    if (file === undefined) return {};
    try {
      return { [name]: readFileSync(file) };
    } catch (error) {
      throw new GatewayError('upstream_unreachable', `tls.${name} cannot be read: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  };
  return {
    ...read('ca'),
    ...read('cert'),
    ...read('key'),
    ...(tls.rejectUnauthorized !== undefined && { rejectUnauthorized: tls.rejectUnauthorized }),
    ...(tls.servername !== undefined && { servername: tls.servername }),
  };
}
