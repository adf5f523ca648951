// `mcp-gateway servers [NAME]`: the servers and how they are.
import { didYouMean } from '../config/problems.ts';
import { type ServerStatus } from '../upstream/mcp/status.ts';
import { ask, withGateway } from './attach.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { type Command, type Invocation } from './options.ts';
import { oneLine, print, printJson, say, table } from './output.ts';

export const servers: Command = {
  usage: '[NAME]',
  options: {},
  help: [],
  examples: ['mcp-gateway servers', 'mcp-gateway servers github', 'mcp-gateway servers --json'],
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
    else print(one ? detail(one) : overview(all));
    return EXIT.ok;
  });
}

function unknownServer(name: string, all: readonly ServerStatus[]): ExitError {
  const names = all.map((server) => server.name);
  const hint = didYouMean(name, names) || `; there are ${names.join(', ') || 'none'}.`;
  return new ExitError(EXIT.notFound, `there is no server ${JSON.stringify(name)}${hint}`);
}

function overview(all: readonly ServerStatus[]): string {
  if (all.length === 0) return 'No servers are configured. Put an entry under mcpServers, or a file into servers.d/.';
  const rows = all.map((server) => [
    server.name,
    server.stale ? `${server.state} (stale)` : server.state,
    server.era ?? '-',
    server.transport,
    String(server.tools),
    String(server.restarts),
    server.state === 'ready' ? '' : (server.lastError ?? ''),
  ]);
  return table(['NAME', 'STATE', 'ERA', 'TRANSPORT', 'TOOLS', 'RESTARTS', 'LAST ERROR'], rows);
}

function detail(server: ServerStatus): string {
  const lines: [string, string | undefined][] = [
    ['name', server.alias === server.name ? server.name : `${server.name} (alias ${server.alias})`],
    [
      'state',
      server.stale
        ? `${server.state}, showing what it offered at ${server.offerReadAt ?? 'an earlier time'}`
        : server.state,
    ],
    ['runs', server.display],
    ['configured', server.source],
    ['server', server.serverInfo],
    ['protocol', server.era && `${server.version ?? ''} (${server.era}) over ${server.transport}`],
    [
      'instance',
      server.instance && (server.pid === undefined ? server.instance : `${server.instance}, pid ${server.pid}`),
    ],
    ['containment', server.containment],
    [
      'offers',
      `${server.tools} tools, ${server.prompts} prompts, ${server.resources} resources, ${server.resourceTemplates} templates`,
    ],
    ['in flight', String(server.inFlight)],
    ['restarts', String(server.restarts)],
    ['last error', server.lastError && `${server.lastError} (${server.lastErrorAt ?? ''})`],
    ['next attempt', server.nextAttemptAt],
    ...server.warnings.map((warning): [string, string] => ['warning', warning]),
  ];
  const width = 14;
  const shown = lines.flatMap(([key, value]) => (value === undefined ? [] : [`${key.padEnd(width)}${oneLine(value)}`]));
  const tail =
    server.tail.length === 0 ? [] : ['', 'stderr, the end of it:', ...server.tail.map((line) => `  ${oneLine(line)}`)];
  return [...shown, ...tail].join('\n');
}
