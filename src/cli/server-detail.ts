// Describes one server for `mcp-gateway servers NAME`.
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { duration, oneLine } from './output.ts';
import { table, terminalWidth } from './table.ts';

type Line = readonly [key: string, value: string | undefined];

const KEY_WIDTH = 14;
const INDENT = '  ';

/** The paragraphs about a server: identity, state, instances, denied names, last errors, the end of stderr. */
export function detailOf(server: ServerStatus): string {
  const lines: Line[] = [...identityOf(server), ...conditionOf(server), ...sharingOf(server)];
  const shown = lines.flatMap(([key, value]) =>
    value === undefined ? [] : [`${key.padEnd(KEY_WIDTH)}${oneLine(value)}`],
  );
  return [
    ...shown,
    ...section('instances:', instancesOf(server)),
    ...section('denied:', deniedOf(server)),
    ...section('last errors:', errorsOf(server)),
    ...section('stderr, the end of it:', server.tail.map(oneLine)),
  ].join('\n');
}

function identityOf(server: ServerStatus): Line[] {
  const {
    alias,
    name,
    display,
    source,
    serverInfo,
    era,
    version = '',
    transport,
    containment,
    containmentDescription: means,
    second,
    bridged,
  } = server;
  return [
    ['name', alias === name ? name : `${name} (alias ${alias})`],
    ['runs', display],
    ['configured', source],
    ['server', serverInfo],
    ['protocol', era && `${version} (${era}) over ${transport}`],
    [
      'also speaks',
      second && `${second.version ?? ''} (${second.era}, ${second.state}) with the clients of that era`.trim(),
    ],
    ['translates', bridged && `for ${bridged.era} clients: ${bridged.why}`],
    ['containment', containment && means ? `${containment}. ${means}` : containment],
  ];
}

function conditionOf(server: ServerStatus): Line[] {
  const { state, stale, offerReadAt = 'an earlier time', circuit, circuitTarget, circuitRetryAt } = server;
  return [
    ['state', stale ? `${state}, showing what it offered at ${offerReadAt}` : state],
    ['next attempt', server.nextAttemptAt],
    [
      'circuit',
      circuit === 'closed'
        ? undefined
        : `${circuit}${circuitTarget === undefined ? '' : ` for ${circuitTarget} alone`}${circuitRetryAt ? `, a call is let through at ${circuitRetryAt}` : ''}`,
    ],
    [
      'offers',
      `${server.tools} tools, ${server.prompts} prompts, ${server.resources} resources, ${server.resourceTemplates} templates`,
    ],
    ['calls', `${server.inFlight} in flight, ${server.pool.waiting} of them waiting for an instance`],
    ['restarts', String(server.restarts)],
    ...server.warnings.map((warning): Line => ['warning', warning]),
  ];
}

const SHARING = {
  shared: 'one instance for everybody',
  session: 'instances of their own for each session, or principal of modern clients',
  principal: 'instances of their own for each principal',
} as const;

function sharingOf({ isolation, pool }: ServerStatus): Line[] {
  const { configured, sharing, learned } = isolation;
  return [
    ['isolation', configured === 'auto' ? `auto: ${SHARING[sharing]}` : SHARING[sharing]],
    ...learned.map(({ why, learnedAt }): Line => ['learned', `${why} (${learnedAt})`]),
    [
      'limits',
      `${pool.max} instances of owners${pool.spares > 0 ? ` (${pool.spares} spare)` : ''}, idle ones stop after ${pool.idleMs / 1000} s${pool.lazy ? ', lazy' : ''}`,
    ],
  ];
}

function instancesOf({ instances }: ServerStatus): string[] {
  if (instances.length === 0) return [];
  const rows = instances.map((each) => [
    each.id,
    each.owner ?? 'everybody',
    String(each.inFlight),
    ageOf(each.startedAt),
    each.unusedSince === undefined ? '' : ageOf(each.unusedSince),
    each.pid === undefined ? '' : String(each.pid),
    each.logLevel ?? '',
  ]);
  const header = ['ID', 'OF', 'IN FLIGHT', 'RUNS FOR', 'UNUSED FOR', 'PID', 'LOG LEVEL'];
  return table(header, rows, terminalWidth() - INDENT.length).split('\n');
}

function ageOf(time: string): string {
  return duration(Math.max(0, Date.now() - Date.parse(time)));
}

const KIND_WORDS = { tool: 'tool', prompt: 'prompt', resource: 'resource', resourceTemplate: 'template' } as const;

function deniedOf({ denied }: ServerStatus): string[] {
  return denied.map(({ kind, name, why }) => oneLine(`${KIND_WORDS[kind]} ${name}: ${why}`));
}

function errorsOf({ errors }: ServerStatus): string[] {
  return errors.map(({ at, message, times }) => oneLine(`${at} ${times > 1 ? `(${times} times) ` : ''}${message}`));
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => INDENT + line)];
}
