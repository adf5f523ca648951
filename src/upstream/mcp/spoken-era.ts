// Which era the gateway speaks with a server: a fixed one, or the one that the last connection found.
import type { Era } from '../../core/call.ts';
import { type EraKey, serverKey } from '../../storage/server-key.ts';
import type { ConfiguredServer } from './configured-server.ts';

const ERAS = ['legacy', 'modern'] as const;

export class SpokenEra {
  /** The only era that is spoken; undefined where the gateway probes the server. */
  readonly fixed: Era | undefined;
  private readonly server: ConfiguredServer;
  private found: Era | undefined;

  constructor(server: ConfiguredServer, fixed?: Era) {
    this.server = server;
    this.fixed = fixed;
    this.found = fixed ?? this.remembered();
  }

  /** Undefined where nothing is remembered, and no connection was made yet. */
  get known(): Era | undefined {
    return this.found;
  }

  /** Under which the state database stores what is learned. */
  get key(): EraKey {
    return this.keyOf(this.found ?? 'legacy');
  }

  /** Under which the state database may have something: of either era where the era is not known. */
  get keys(): EraKey[] {
    return this.found ? [this.key] : ERAS.map((era) => this.keyOf(era));
  }

  /** A handshake found this era. */
  connected(era: Era): void {
    const { learned } = this.server.context;
    const key = this.keyOf(era);
    const known = learned.eras(key).some((one) => one.era === era && one.refusal === null);
    if (!known) learned.rememberEra(key);
    this.found = era;
  }

  /** What is remembered may be wrong: the next connection probes the server, unless the era is fixed. */
  forget(): void {
    if (this.fixed) return;
    this.server.context.learned.forgetEras(this.key);
    this.found = undefined;
  }

  private remembered(): Era | undefined {
    const { config, context, isUsable } = this.server;
    return isUsable ? context.learned.eras(serverKey(config)).find(({ refusal }) => refusal === null)?.era : undefined;
  }

  private keyOf(era: Era): EraKey {
    return { ...serverKey(this.server.config), era };
  }
}
