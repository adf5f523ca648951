// Reloads the configuration: a valid edit is put in force; after an invalid one everything stays as it was, and the log says why.
import { exposure } from '../config/exposure.ts';
import type { ConfigFolders } from '../config/folders.ts';
import { loadFrom } from '../config/load.ts';
import { formatProblem } from '../config/problems.ts';
import { ConfigWatch } from '../config/watch.ts';
import type { Config } from '../config/config.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import type { Gateway } from './gateway.ts';

export interface ReloadOptions {
  readonly gateway: Gateway;
  /** The folders that the configuration is read from; `Reloader.close` closes them. */
  readonly folders: ConfigFolders;
  readonly env: NodeJS.ProcessEnv;
  /** Applies the flags of the command line, which win over the file at every reload. */
  readonly override: (config: Config) => Config;
  /** The address that the gateway is bound to, if it is: where others can reach it, an edit must not remove its tokens. */
  readonly bound: Config['listen'] | undefined;
}

/** Reloads after each edit of the configuration. Reloads run one after another. */
export class Reloader {
  private readonly options: ReloadOptions;
  private readonly watch: ConfigWatch;
  private running: Promise<void> = Promise.resolve();

  constructor(options: ReloadOptions) {
    this.options = options;
    const { gateway, folders } = options;
    this.watch = new ConfigWatch({
      file: folders.file,
      onChange: () => void this.now(),
      // the reload that follows reports the same failure
      onEvent: () => void gateway.configurations.hideEdit().catch(() => undefined),
    });
    this.watch.ready.catch((error: unknown) =>
      gateway.logger.warn({ err: error }, 'the configuration is not watched; send SIGHUP after an edit'),
    );
  }

  /** Reloads at once (SIGHUP). Resolves when the edit is in force or refused. */
  now(): Promise<void> {
    this.running = this.running.then(() => this.reload());
    return this.running;
  }

  /** Stops watching. Resolves when a reload that is under way has ended. */
  async close(): Promise<void> {
    this.watch.close();
    await this.running;
    this.options.folders.close();
  }

  private async reload(): Promise<void> {
    const { gateway, folders, env, override, bound } = this.options;
    const { logger } = gateway;
    try {
      // an edit that will be refused may hold secrets too
      await gateway.configurations.hideEdit();
      const loaded = loadFrom(folders, { env, state: gateway.stateDirectory.path });
      if (!loaded.ok) {
        this.refuse(loaded.problems.map(formatProblem));
        return;
      }
      const config = override(loaded.config);
      const refusal = bound && exposure({ listen: bound, auth: config.auth });
      if (refusal !== undefined) throw new Error(refusal);
      for (const problem of loaded.warnings) logger.warn(formatProblem(problem));
      this.warnOfDeferred(gateway.snapshot.config, config);
      await gateway.configurations.apply(config);
    } catch (error) {
      this.refuse([reasonOf(error)]);
    }
  }

  private refuse(problems: readonly string[]): void {
    const { gateway } = this.options;
    for (const problem of problems) gateway.logger.error(problem);
    gateway.logger.error('the edit is not in force; the gateway keeps the last good configuration');
    gateway.configurations.refuse(
      problems
        .map((problem) => problem.split('\n', 1)[0])
        .join('; ')
        .slice(0, BOUNDS.reloadError),
    );
  }

  /** Warns about changes that take effect only at the next start. */
  private warnOfDeferred(before: Config, after: Config): void {
    for (const [read, message] of DEFERRED)
      if (String(read(before)) !== String(read(after))) this.options.gateway.logger.warn(message);
  }
}

/** Settings that take effect only at the next start, and the warning about a change. */
const DEFERRED: readonly [read: (config: Config) => unknown, message: string][] = [
  [({ listen }) => [listen.host, listen.port], 'listen.host and listen.port take effect at the next start'],
  [({ listen }) => listen.trustedProxies, 'listen.trustedProxies takes effect at the next start'],
  [
    ({ limits }) => [limits.sessions, limits.upstreamMessage, limits.items],
    'limits.sessions, limits.upstreamMessage and, for what servers send, limits.items take effect at the next start',
  ],
];
