// A valid configuration as the loader makes it: frozen, complete, references resolved, secrets wrapped.
import type { Secret } from '../core/secret.ts';
import type { ServerEntry, Settings } from './schema.ts';

/** The gateway offers the names that match an `allow` pattern and no `deny` pattern. `*` stands for any characters. */
interface NamePatterns {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** TLS settings of a server; `ca`, `cert` and `key` are absolute paths. */
export type TlsConfig = Readonly<NonNullable<ServerEntry['tls']>>;

/** Milliseconds by phase; `firstByte` and `idle` of a process are `Infinity` where its entry does not set them. */
export type Timeouts = Readonly<ServerEntry['timeouts']>;

/** One configured server. */
export interface ServerConfig {
  readonly name: string;
  readonly alias: string;
  readonly disabled: boolean;
  readonly transport: 'stdio' | 'streamable-http' | 'sse';
  readonly command?: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, Secret>>;
  /** Absolute. */
  readonly cwd: string;
  readonly url?: string;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly timeouts: Timeouts;
  readonly tls?: TlsConfig;
  readonly era: ServerEntry['era'];
  readonly isolation: ServerEntry['isolation'];
  /** `idle` in milliseconds. */
  readonly instances: Readonly<ServerEntry['instances'] & { max: number }>;
  readonly tools: NamePatterns;
  readonly prompts: NamePatterns;
  readonly resources: NamePatterns;
  readonly source: { readonly file: string; readonly line: number; readonly column: number };
  /** Where the name patterns stand, as `file:line:column`, by their path in the entry: `tools.deny.0`, `tools.allow`. */
  readonly places: Readonly<Record<string, string>>;
  /** Command line or URL, safe to show: references as written, credentials and query values removed. */
  readonly display: string;
  /** Values that the gateway redacts in everything that the server sends, longest first. */
  readonly secrets: readonly string[];
  /** Why the server cannot be used, although the rest of the configuration can. */
  readonly problem?: string;
  /** Differs where the server must be restarted. It is a hash of secrets: compare it, do not show it. */
  readonly digest: string;
}

/** A bearer token and who holds it. */
export interface TokenConfig {
  readonly id: string;
  readonly token: Secret;
  readonly groups: readonly string[];
  /** Where the token is named. */
  readonly source: { readonly file: string; readonly line: number; readonly column: number };
}

/** A valid configuration. */
export interface Config {
  /** The main file, absolute. */
  readonly file: string;
  readonly directory: string;
  /** SHA-256 of the files as written: without the values of references, so it reveals no secret. */
  readonly hash: string;
  readonly listen: Readonly<Settings['listen']>;
  readonly auth: { readonly tokens: readonly TokenConfig[] };
  readonly audit: Readonly<Settings['audit']>;
  /** Sizes in bytes. */
  readonly limits: Readonly<Settings['limits']>;
  /** In the order of the main file, then in that of servers.d. */
  readonly servers: readonly ServerConfig[];
  /** Every file that the loader read, the main file first. */
  readonly files: readonly string[];
  /** The files with its secrets, absolute: those that references name, and TLS keys. Some may not exist. */
  readonly secretFiles: readonly string[];
}
