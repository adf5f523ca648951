// Authenticates callers: the holder of a bearer token, or `local` where no token is configured.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { GatewayError } from '../core/errors.ts';
import { LOCAL, type Principal } from '../core/principal.ts';
import type { Secret } from '../core/secret.ts';

export interface TokenEntry {
  readonly id: string;
  readonly token: Secret;
  readonly groups: readonly string[];
}

/** Returns the principal of an `Authorization` header. Throws `unauthenticated`; with tokens there is no default principal. */
export type Authenticate = (authorization: string | undefined) => Principal;

/**
 * Compiles the configured tokens. Without tokens every caller is `local`, which is only possible where the gateway listens on loopback.
 * It compares the keyed digest of a presented token with that of every entry, so that the time reveals nothing about a token.
 */
export function compileAuthentication(tokens: readonly TokenEntry[]): Authenticate {
  if (tokens.length === 0) return () => LOCAL;
  const key = randomBytes(32);
  const digest = (token: string) => createHmac('sha256', key).update(token).digest();
  const entries = tokens.map((entry) => ({
    digest: digest(entry.token.reveal()),
    principal: Object.freeze<Principal>({
      id: entry.id,
      kind: 'token',
      groups: Object.freeze([...entry.groups]),
      scopes: Object.freeze([]),
      credential: `token:${entry.id}`,
    }),
  }));
  return (authorization) => {
    const token = bearerOf(authorization);
    const presented = digest(token);
    let found: Principal | undefined;
    for (const entry of entries) if (timingSafeEqual(entry.digest, presented)) found = entry.principal;
    if (!found) throw new GatewayError('unauthenticated', 'The bearer token is not one that this gateway knows.');
    return found;
  };
}

function bearerOf(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw new GatewayError('unauthenticated', 'This gateway wants a token: send `Authorization: Bearer …`.');
  }
  const token = /^bearer +([^\s]{1,4096})$/i.exec(authorization)?.[1];
  if (token === undefined) throw new GatewayError('unauthenticated', 'The Authorization header is not `Bearer TOKEN`.');
  return token;
}
