// Whether others than this machine could use the gateway without saying who they are.
import type { Config } from './config.ts';

/** Tells whether a host setting binds loopback addresses only. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Why a configuration may not be put in force as it is, or undefined: an address that others reach wants tokens. */
export function exposure({ listen, auth }: Pick<Config, 'listen' | 'auth'>): string | undefined {
  if (isLoopbackHost(listen.host) || auth.tokens.length > 0) return undefined;
  return `${listen.host} can be reached by others, and no token is configured. Add one under auth.tokens, or bind 127.0.0.1.`;
}
