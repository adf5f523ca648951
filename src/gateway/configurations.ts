// Puts a valid configuration in force, and remembers why an edit was refused.
import type { Config } from '../config/config.ts';
import { isSameConfig, shownDifferently } from '../config/diff.ts';
import { OFFER_KINDS } from '../core/call.ts';
import type { Parts } from './compose.ts';
import { compile } from './snapshots.ts';

type ConfigurationsParts = Pick<
  Parts,
  'changes' | 'confined' | 'events' | 'logger' | 'snapshots' | 'upstreams' | 'watcher'
>;

export class Configurations {
  private readonly parts: ConfigurationsParts;
  /** Why the last edit is not in force; undefined while it is. */
  refusal: string | undefined;

  constructor(parts: ConfigurationsParts) {
    this.parts = parts;
  }

  /** Puts a configuration in force. Calls in flight end under the one that they began with. Throws `audit_unavailable`. */
  async apply(config: Config): Promise<void> {
    const { changes, confined, events, snapshots, upstreams } = this.parts;
    const before = snapshots.current.config;
    await confined.hide(config);
    if (isSameConfig(before, config)) {
      if (this.refusal !== undefined) this.notify([]);
      return;
    }
    const compiled = compile(config);
    await events.commit('config_reloaded', { before: before.hash, config: config.hash });
    const touched = upstreams.apply(config);
    snapshots.apply(compiled);
    upstreams.start();
    const others = new Set([...touched, ...shownDifferently(before, config)]);
    this.notify([...others]);
    for (const name of others) changes.listsChanged(name, OFFER_KINDS);
  }

  /** Hides the files of an edit from the servers, before the gateway reads them. */
  hideEdit(): Promise<void> {
    return this.parts.confined.hide();
  }

  /** Remembers why an edit was refused, for `/readyz`, and records it. */
  refuse(reason: string): void {
    this.refusal = reason;
    this.parts.events.record('config_refused', { reason });
  }

  private notify(touched: readonly string[]): void {
    const { logger, watcher } = this.parts;
    const again = this.refusal !== undefined;
    this.refusal = undefined;
    logger.info({ touched }, again ? 'the configuration is in force again' : 'the configuration was reloaded');
    watcher?.reloaded({ touched, again });
  }
}
