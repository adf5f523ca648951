// The key under which the state database stores what the gateway learned of a server.
import type { ServerConfig } from '../config/config.ts';

/** What the gateway learned holds for one command or URL: after an edit of the entry it learns it again. */
export interface ServerKey {
  readonly server: string;
  /** The digest of the command or URL. */
  readonly digest: string;
}

export function serverKey({ name, digest }: Pick<ServerConfig, 'name' | 'digest'>): ServerKey {
  return { server: name, digest };
}
