// Everything compiled from one valid configuration; a call keeps the snapshot that it started with.
import { type Config } from '../config/config.ts';
import { type Handler } from '../core/stage.ts';
import { type Authenticate } from '../identity/authenticate.ts';
import { type Policy } from '../policy/policy.ts';

export interface Snapshot {
  readonly config: Config;
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  readonly handle: Handler;
  /** Lists depend on who asks, or on the operator's patterns: nobody may share them (wire.md, What the gateway offers). */
  readonly privateLists: boolean;
}
