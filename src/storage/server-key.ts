// The key under which the state database stores what the gateway learned of a server.
import type { ServerConfig } from '../config/config.ts';
import type { Era } from '../core/call.ts';

/** What the gateway learned holds for one command or URL: after an edit of the entry it learns it again. */
export interface ServerKey {
  readonly server: string;
  /** The digest of the command or URL. */
  readonly digest: string;
}

/** What is known of a server in one era. */
export interface EraKey extends ServerKey {
  readonly era: Era;
}

export function serverKey({ name, digest }: Pick<ServerConfig, 'name' | 'digest'>): ServerKey {
  return { server: name, digest };
}
