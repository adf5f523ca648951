// The wire to the process of a configured server.
import type { ConfiguredServer } from '../configured-server.ts';
import { childEnvironment } from '../process/environment.ts';
import { StdioWire } from '../wire/stdio-wire.ts';
import type { WireEvents } from '../wire/wire.ts';

/** Makes the wire; its `start` starts the process. */
export function stdioWire(server: ConfiguredServer, events: WireEvents): StdioWire {
  const { config, context } = server;
  const { deadlines, maxMessageBytes, maxItems, env, containment } = context;
  const given = Object.entries(config.env).map(([name, secret]) => [name, secret.reveal()] as const);
  return new StdioWire({
    server: server.name,
    maxItems,
    pings: server.answersPings,
    endedUnpinged: () => {
      server.answersPings = false;
    },
    deadlines,
    timeouts: config.timeouts,
    events,
    process: {
      command: config.command ?? '',
      args: config.args,
      env: childEnvironment(Object.fromEntries(given), env),
      cwd: config.cwd,
      maxMessageBytes,
      redact: config.secrets,
      containment,
    },
  });
}
