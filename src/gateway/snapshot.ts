// Everything that one call is answered by: configuration, policy and catalogs of one moment.
import type { Config } from '../config/config.ts';
import { type Authenticate, compileAuthentication } from '../identity/authenticate.ts';
import { compilePolicy, isUnrestricted, type Policy } from '../policy/policy.ts';
import type { Catalogs } from './catalogs.ts';

/** What is compiled of a configuration. */
export interface Compiled {
  readonly config: Config;
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  /** Lists depend on who asks, or on the operator's patterns: nobody may share them (wire.md, What the gateway offers). */
  readonly privateLists: boolean;
}

/** Immutable: a reload and an offer that changed each make another one. */
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
