// Everything compiled from one valid configuration; a call keeps the snapshot that it started with.
import type { Config } from '../config/config.ts';
import type { Handler } from '../core/stage.ts';
import { type Authenticate, compileAuthentication } from '../identity/authenticate.ts';
import { compilePolicy, isUnrestricted, type Policy } from '../policy/policy.ts';
import { createDispatch } from './dispatch.ts';
import type { DispatchParts } from './dispatch-parts.ts';
import { buildPipeline, type PipelineParts } from './pipeline.ts';

export interface Snapshot {
  readonly config: Config;
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  readonly handle: Handler;
  /** Lists depend on who asks, or on the operator's patterns: nobody may share them (wire.md, What the gateway offers). */
  readonly privateLists: boolean;
}

/** What outlives snapshots and is compiled into each. */
export interface SnapshotParts
  extends
    Omit<DispatchParts, 'permits'>,
    Pick<PipelineParts, 'logger' | 'ledger' | 'room' | 'goesOn' | 'audit' | 'watcher'> {}

/** Compiles a configuration: policy, authentication, and the pipeline that calls go through while it is in force. */
export function compileSnapshot(config: Config, parts: SnapshotParts): Snapshot {
  const policy = compilePolicy(config.servers);
  const { logger, ledger, room, goesOn, audit, watcher } = parts;
  const dispatch = createDispatch({ ...parts, permits: (target) => policy.decide(target).allowed });
  return Object.freeze({
    config,
    policy,
    authenticate: compileAuthentication(config.auth.tokens),
    handle: buildPipeline({ logger, ledger, room, goesOn, audit, watcher, policy, dispatch, configHash: config.hash }),
    privateLists: config.auth.tokens.length > 0 || !config.servers.every(offersEverything),
  });
}

function offersEverything({ tools, prompts, resources }: Config['servers'][number]): boolean {
  return [tools, prompts, resources].every(isUnrestricted);
}
