// `mcp-gateway servers [NAME]`: the servers and their state.
import { didYouMean } from '../config/problems.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { ask, withGateway } from './control-client.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import type { Command, Invocation } from './options.ts';
import { oneLine, plural, print, printJson, say } from './output.ts';
import { hint } from './program.ts';
import { detailOf } from './server-detail.ts';
import { table } from './table.ts';

export const servers: Command = {
  usage: '[NAME]',
  examples: ({ typed }) => [`${typed} servers`, `${typed} servers github`, `${typed} servers --json`],
  positionals: 1,
  run,
};

function run(invocation: Invocation): Promise<number> {
  const [name] = invocation.positionals;
  return withGateway(invocation, async ({ socket, signal }) => {
    const { text } = await ask(socket, { path: '/api/servers', signal });
    const { servers: all, reloadError } = JSON.parse(text) as { servers: ServerStatus[]; reloadError?: string };
    if (reloadError !== undefined) say(`the last edit of the configuration is not in force: ${oneLine(reloadError)}`);
    const one = all.find((server) => server.name === name);
    if (name !== undefined && !one) throw unknownServer(name, all);
    if (invocation.flags.json) printJson(one ?? all);
    else print(one ? detailOf(one) : overview(all));
    return EXIT.ok;
  });
}

function unknownServer(name: string, all: readonly ServerStatus[]): ExitError {
  const names = all.map((server) => server.name);
  const hint = didYouMean(name, names) || `; there are ${names.join(', ') || 'none'}.`;
  return new ExitError(EXIT.notFound, `there is no server ${JSON.stringify(name)}${hint}`);
}

/** One row per server, and below them notes on problems, which are too long for a column. */
function overview(all: readonly ServerStatus[]): string {
  if (all.length === 0) return 'No servers are configured. Put an entry under mcpServers, or a file into servers.d/.';
  const rows = all.map((server) => [
    server.name,
    server.state,
    server.second ? 'both' : (server.era ?? '-'),
    server.transport === 'streamable-http' ? 'http' : server.transport,
    String(server.tools),
    server.isolation.sharing === 'shared' ? '' : server.isolation.sharing,
    server.instances.length === 1 ? '' : someOf(server.instances.length),
    someOf(server.inFlight),
    someOf(server.restarts),
  ]);
  const header = ['NAME', 'STATE', 'ERA', 'OVER', 'TOOLS', 'ONE PER', 'INSTANCES', 'IN FLIGHT', 'RESTARTS'];
  const notes = all.flatMap((server) => notesOf(server).map((note) => `${server.name}: ${oneLine(note)}`));
  return [table(header, rows), ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}

/** Shows no zeros, because the table drops empty columns, and so fits 80 columns. */
function someOf(count: number): string {
  return count === 0 ? '' : String(count);
}

function notesOf({ state, stale, offerReadAt, circuit, circuitTarget, lastError, warnings }: ServerStatus): string[] {
  const isHealthy = circuit === 'closed' && (state === 'ready' || state === 'idle');
  const errors = isHealthy || lastError === undefined ? [] : [lastError];
  return [
    ...(circuit === 'closed'
      ? errors
      : [`its circuit is ${circuit}${circuitTarget === undefined ? '' : ` for ${circuitTarget} alone`}`, ...errors]),
    ...(stale ? [`what it offers is as of ${offerReadAt ?? 'an earlier time'}`] : []),
    ...(warnings.length > 0 ? [`${plural(warnings.length, 'warning')} (${hint('servers NAME')} shows them)`] : []),
  ];
}
