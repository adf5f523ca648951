// The wire to a configured process.
import type { ServerConfig } from '../../../config/config.ts';
import type { Containment } from '../process/containment/containment.ts';
import { childEnvironment } from '../process/environment.ts';
import type { Deadlines } from '../wire/deadlines.ts';
import { StdioWire } from '../wire/stdio-wire.ts';
import type { WireEvents } from '../wire/wire.ts';

export interface StdioContext {
  readonly deadlines: Deadlines;
  readonly maxMessageBytes: number;
  readonly maxItems: number;
  /** The gateway's own environment, of which a process gets a part. */
  readonly env: NodeJS.ProcessEnv;
  /** What processes are started in; found for this machine if absent. */
  readonly containment?: () => Promise<Containment>;
}

/** Most commands that are remembered for having ended on a ping. */
const MAX_UNPINGED = 1_000;

/** Digests of entries whose process ended on its first ping: some servers end on a request that they do not know. They are not asked again. */
const unpinged = new Set<string>();

/** Nothing runs before its `start`. */
export function stdioWire(
  server: ServerConfig,
  { deadlines, maxMessageBytes, maxItems, env, containment }: StdioContext,
  events: WireEvents,
): StdioWire {
  const given = Object.entries(server.env).map(([name, secret]) => [name, secret.reveal()] as const);
  return new StdioWire({
    server: server.name,
    maxItems,
    pings: !unpinged.has(server.digest),
    endedUnpinged: () => {
      if (unpinged.size < MAX_UNPINGED) unpinged.add(server.digest);
    },
    deadlines,
    timeouts: server.timeouts,
    events,
    process: {
      command: server.command ?? '',
      args: server.args,
      env: childEnvironment(Object.fromEntries(given), env),
      cwd: server.cwd,
      maxMessageBytes,
      redact: server.secrets,
      containment,
    },
  });
}
