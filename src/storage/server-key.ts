// The key under which the state database stores what was learned of a server.
import type { ServerConfig } from '../config/config.ts';

/** What was learned holds for one command or URL: after an edit of the entry it is learned again. */
export interface ServerKey {
  readonly server: string;
  /** Of the command or URL. */
  readonly digest: string;
}

export function serverKey({ name, digest }: Pick<ServerConfig, 'name' | 'digest'>): ServerKey {
  return { server: name, digest };
}
