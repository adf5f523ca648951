// Whether other machines could use the gateway without authentication.
import type { Config } from './config.ts';

/** Tells whether a host setting binds loopback addresses only. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** A token of fewer bytes can be guessed. */
export const SHORTEST_TOKEN = 16;

/** Why a configuration may not take effect; undefined where it may. An address that other machines reach needs tokens that cannot be guessed. */
export function exposure({ listen, auth }: Pick<Config, 'listen' | 'auth'>): string | undefined {
  if (isLoopbackHost(listen.host)) return undefined;
  if (auth.tokens.length === 0)
    return `${listen.host} can be reached by others, and no token is configured. Add one under auth.tokens, or bind 127.0.0.1.`;
  const weak = auth.tokens.filter(({ token }) => isShortToken(token.reveal()));
  if (weak.length === 0) return undefined;
  const places = weak.map(
    ({ id, source: { file, line, column } }) =>
      `${file}:${line}:${column} the token of "${id}" is shorter than ${SHORTEST_TOKEN} bytes and can be guessed`,
  );
  return `${places.join('; ')}, while ${listen.host} can be reached by others. Replace it, for example with the output of \`openssl rand -hex 32\`, or bind 127.0.0.1.`;
}

export function isShortToken(token: string): boolean {
  return Buffer.byteLength(token) < SHORTEST_TOKEN;
}
