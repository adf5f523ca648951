// The containment of a gateway's servers: found at the first start of one, renewed before each new configuration is in force.
import { reasonOf } from '../../../../core/errors.ts';
import type { Containment, ProtectedPaths, Protection } from './containment.ts';
import { detectProtection } from './detect.ts';

export interface ConfinementOptions {
  readonly paths: ProtectedPaths;
  /** Finds the containment; for tests. */
  readonly detect?: (paths: ProtectedPaths) => Promise<Containment>;
  /** Told what becomes of servers that a file could not be hidden from. */
  warn(message: string): void;
}

export class Confinement {
  private readonly options: ConfinementOptions;
  private paths: ProtectedPaths;
  private found: Promise<Containment> | undefined;
  private renewing: Promise<void> = Promise.resolve();

  constructor(options: ConfinementOptions) {
    this.options = options;
    this.paths = options.paths;
  }

  /** The containment that servers are started in from now on. */
  containment(): Promise<Containment> {
    return (this.found ??= this.detect());
  }

  /**
   * Hides these paths from all servers, those that run too. Where that fails, every server is ended, and started again in a place
   * where they are hidden. One after the other.
   */
  renew(paths: ProtectedPaths): Promise<void> {
    this.paths = paths;
    const renewed = this.renewing.then(() => this.renewNow());
    this.renewing = renewed.catch(() => undefined);
    return renewed;
  }

  /** Gives the namespaces up; what still runs in them ends. */
  async close(): Promise<void> {
    const found = await this.found;
    if (found && isProtection(found)) await found.close();
  }

  private async renewNow(): Promise<void> {
    const found = await this.found;
    if (!found || !isProtection(found)) return;
    try {
      const ended = await found.renew(this.paths);
      if (ended > 0) {
        const who = ended === 1 ? 'one instance of a server was' : `${ended} instances of servers were`;
        this.options.warn(
          `${who} ended: it had made a mount namespace of its own, in which a file that was replaced cannot be hidden anew`,
        );
      }
    } catch (error) {
      this.options.warn(
        `every stdio server is started anew, since the gateway's files could not be hidden from those that run: ${reasonOf(error)}`,
      );
      this.found = this.detect();
      await found.close();
      await this.found;
    }
  }

  private detect(): Promise<Containment> {
    return (this.options.detect ?? detectProtection)(this.paths);
  }
}

function isProtection(containment: Containment): containment is Protection {
  return 'renew' in containment;
}
