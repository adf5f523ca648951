// The containment of a gateway's servers: found when the first one starts, renewed before each new configuration is in force.
import { reasonOf } from '../../../../core/errors.ts';
import { type Containment, isProtection, type ProtectedPaths, type Protection } from './containment.ts';
import { detectProtection } from './detect.ts';

export interface ConfinementOptions {
  /** What to protect now; read before each use, since files come and go. */
  paths(): ProtectedPaths;
  /** Finds the containment; that of this machine if absent. */
  readonly detect?: (paths: ProtectedPaths) => Promise<Containment>;
  /** Warns the operator of servers that a file could not be hidden from. */
  warn(message: string): void;
}

export class Confinement {
  private readonly options: ConfinementOptions;
  private found: Promise<Containment> | undefined;
  private closed = false;
  /** The renewal under way, and the one that waits for it, which all further calls of `renew` share. */
  private running: Promise<void> = Promise.resolve();
  private waiting: Promise<void> | undefined;

  constructor(options: ConfinementOptions) {
    this.options = options;
  }

  /** The containment that servers are started in from now on. */
  containment(): Promise<Containment> {
    if (this.found) return this.found;
    const found = this.detect();
    this.found = found;
    // after a failure the next start tries again
    found.catch(() => {
      if (this.found === found) this.found = undefined;
    });
    return found;
  }

  /**
   * Hides from all servers what is not hidden yet. If that fails, ends every server, and starts it again in a containment that hides it.
   * Throws if no containment hides it any more.
   */
  renew(): Promise<void> {
    this.waiting ??= this.running
      .catch(() => undefined) // the caller of that renewal gets the error
      .then(() => {
        this.running = this.waiting ?? this.running;
        this.waiting = undefined;
        return this.renewNow();
      });
    return this.waiting;
  }

  /** Closes the namespaces, which ends the servers in them. */
  async close(): Promise<void> {
    this.closed = true;
    const found = await this.found;
    if (found && isProtection(found)) await found.close();
  }

  private async renewNow(): Promise<void> {
    const found = await this.found;
    if (!found || !isProtection(found) || this.closed) return;
    try {
      const ended = await found.renew(this.options.paths());
      if (ended === 0) return;
      const ones = ended === 1 ? 'one instance of a server was' : `${ended} instances of servers were`;
      this.options.warn(
        `${ones} ended: it had made a mount namespace of its own, in which a file that was replaced cannot be hidden anew`,
      );
    } catch (error) {
      await this.replace(found, `the gateway's files could not be hidden from those that run: ${reasonOf(error)}`);
    }
  }

  /** Ends the running servers before a new configuration is in force; their upstreams start them again. */
  private async replace(old: Protection, why: string): Promise<void> {
    this.options.warn(`every stdio server is started again, since ${why}`);
    this.found = undefined;
    const next = this.containment();
    await old.close();
    const now = await next;
    if (!isProtection(now)) throw new Error(`nothing hides the gateway's files from its servers any more: ${why}`);
  }

  private async detect(): Promise<Containment> {
    const found = await (this.options.detect ?? detectProtection)(this.options.paths());
    if (isProtection(found)) void found.ended.then(() => this.lost(found));
    return found;
  }

  /** The holder of the base namespace was killed: no server can start in it, and new mounts reach none. */
  private async lost(ended: Protection): Promise<void> {
    if (this.closed || (await this.found) !== ended) return;
    await this.replace(ended, 'the process that holds the namespace of their mounts is gone').catch((error: unknown) =>
      this.options.warn(reasonOf(error)),
    );
  }
}
