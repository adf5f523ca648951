// A snapshot: the configuration, the policy and the catalogs of one moment, under which calls are answered.
import type { Config } from '../config/config.ts';
import { type Authenticate, compileAuthentication } from '../identity/authenticate.ts';
import { compilePolicy, isUnrestricted, type Policy } from '../policy/policy.ts';
import type { Catalogs } from './catalogs.ts';

/** A configuration with what is compiled of it once. */
export interface Compiled {
  readonly config: Config;
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  /** Whether lists depend on the caller or on patterns of the operator, so that no cache may share them (wire.md, What the gateway offers). */
  readonly privateLists: boolean;
}

/** Immutable: each reload and each changed offer makes another one. */
export interface Snapshot extends Compiled {
  readonly catalogs: Catalogs;
}

export function compile(config: Config): Compiled {
  return {
    config,
    policy: compilePolicy(config.servers),
    authenticate: compileAuthentication(config.auth.tokens),
    privateLists: config.auth.tokens.length > 0 || !config.servers.every(offersEverything),
  };
}

function offersEverything({ tools, prompts, resources }: Config['servers'][number]): boolean {
  return [tools, prompts, resources].every(isUnrestricted);
}
