// `mcp-gateway servers [NAME]`: the servers and how they are.
import { type ServerStatus } from '../upstream/mcp/status.ts';
import { ask, attach } from './attach.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { type Command, type Invocation } from './options.ts';
import { print, printable, printJson, table } from './output.ts';

export const servers: Command = {
  name: 'servers',
  summary: 'show the servers and how they are',
  usage: '[NAME]',
  options: {},
  help: [],
  examples: ['mcp-gateway servers', 'mcp-gateway servers github', 'mcp-gateway servers --json'],
  positionals: 1,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const [name] = invocation.positionals;
  const attached = await attach(invocation);
  try {
    if (attached.inside) await attached.inside.gateway.attempted();
    const { text } = await ask(attached.socket, { path: '/api/servers' });
    const all = (JSON.parse(text) as { servers: ServerStatus[] }).servers;
    const one = all.find((server) => server.name === name);
    if (name !== undefined && !one) {
      throw new ExitError(
        EXIT.notFound,
        `there is no server ${JSON.stringify(name)}; there are ${all.map((server) => server.name).join(', ') || 'none'}.`,
      );
    }
    if (invocation.flags.json) printJson(one ?? all);
    else print(one ? detail(one) : overview(all));
    return EXIT.ok;
  } finally {
    await attached.detach();
  }
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
  const shown = lines.flatMap(([key, value]) =>
    value === undefined ? [] : [`${key.padEnd(width)}${printable(value)}`],
  );
  const tail =
    server.tail.length === 0
      ? []
      : ['', 'stderr, the end of it:', ...server.tail.map((line) => `  ${printable(line)}`)];
  return [...shown, ...tail].join('\n');
}
