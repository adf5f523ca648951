// What the suite is run against: servers behind the gateway, and the gateway as a client of the suite's own servers.

export type Revision = '2025-11-25' | '2026-07-28';

/** What the gateway stands in for: a server before the suite's client, or a client before the suite's servers. */
export type Leg = 'server' | 'client';

export const REVISIONS: readonly Revision[] = ['2025-11-25', '2026-07-28'];

/** One way through the gateway; stands for a run at each revision. */
interface Way {
  /** Unique; stands for it in the table. */
  readonly letter: string;
  readonly name: string;
  /** What the suite speaks first where both revisions are spoken at one gateway, because its server speaks both eras. */
  readonly first?: Revision;
}

/** The suite speaks as a client with a server behind the gateway. */
export interface ServerWay extends Way {
  readonly leg: 'server';
  /** The fixture server, a file of `fixtures/servers`; one for each revision where the revision decides. */
  readonly server: Fixture | Readonly<Record<Revision, Fixture>>;
  /** How the gateway speaks with the fixture server. */
  readonly transport: 'http' | 'sse' | 'stdio';
  /** Whether the suite speaks with the aggregate of this and other servers instead of the URL of this one. */
  readonly aggregate?: boolean;
}

/** The suite is the server behind the gateway, and a client of ours makes the gateway call it. */
export interface ClientWay extends Way {
  readonly leg: 'client';
  readonly client: 'legacy' | 'modern';
}

type Fixture = 'conformance-legacy.ts' | 'conformance-modern.ts' | 'conformance-dual.ts';

const LEGACY = 'conformance-legacy.ts';
const MODERN = 'conformance-modern.ts';
const DUAL = 'conformance-dual.ts';

/** Every era and transport on the far side of the gateway. */
export const WAYS: readonly (ServerWay | ClientWay)[] = [
  { letter: 'A', name: 'modern HTTP', leg: 'server', server: MODERN, transport: 'http' },
  { letter: 'B', name: 'modern stdio', leg: 'server', server: MODERN, transport: 'stdio' },
  { letter: 'C', name: 'legacy HTTP', leg: 'server', server: LEGACY, transport: 'http' },
  { letter: 'D', name: 'HTTP+SSE', leg: 'server', server: LEGACY, transport: 'sse' },
  { letter: 'E', name: 'legacy stdio', leg: 'server', server: LEGACY, transport: 'stdio' },
  {
    letter: 'F',
    name: 'aggregate',
    leg: 'server',
    server: { '2025-11-25': LEGACY, '2026-07-28': MODERN },
    transport: 'http',
    aggregate: true,
  },
  { letter: 'G', name: 'dual HTTP', leg: 'server', server: DUAL, transport: 'http', first: '2025-11-25' },
  { letter: 'H', name: 'dual stdio', leg: 'server', server: DUAL, transport: 'stdio', first: '2026-07-28' },
  {
    letter: 'I',
    name: 'dual aggregate',
    leg: 'server',
    server: DUAL,
    transport: 'http',
    aggregate: true,
    first: '2025-11-25',
  },
  { letter: 'J', name: 'legacy client', leg: 'client', client: 'legacy' },
  { letter: 'K', name: 'modern client', leg: 'client', client: 'modern' },
];

export interface Run {
  readonly way: ServerWay | ClientWay;
  /** The requirements, and with them the wire that the suite speaks. */
  readonly revision: Revision;
}

export const RUNS: readonly Run[] = REVISIONS.flatMap((revision) => WAYS.map((way) => ({ way, revision })));

/** What a run is called, unique among all. */
export function nameOf({ way, revision }: Run): string {
  return `${way.name} ${revision}`;
}

/** Revisions that the suite speaks at the same time. */
export type Part = readonly [Revision, ...Revision[]];
/** What the suite speaks at one gateway, one part after another. */
export type Course = readonly [Part, ...Part[]];

/** One gateway, or one client, and what runs there. */
export interface Sitting {
  readonly way: ServerWay | ClientWay;
  readonly course: Course;
}

const EACH = REVISIONS.map((revision): Course => [[revision]]);

/** Where one server speaks both eras, one gateway meets both: each after the other, and both at the same time. */
function courseFrom(first: Revision): Course {
  const second = first === '2025-11-25' ? '2026-07-28' : '2025-11-25';
  return [[first], [second], [first], [first, second]];
}

/** The longest first, so that none is left for the end. */
export const SITTINGS: readonly Sitting[] = WAYS.flatMap((way) =>
  (way.first === undefined ? EACH : [courseFrom(way.first)]).map((course) => ({ way, course })),
).sort((one, other) => other.course.length - one.course.length);

/** Scenarios that the suite runs and does not require, and that we do. */
const BESIDES: Readonly<Record<Leg, Readonly<Record<Revision, readonly string[]>>>> = {
  server: {
    '2025-11-25': ['server-session-lifecycle', 'server-sse-polling', 'json-schema-2020-12'],
    '2026-07-28': ['json-schema-2020-12', 'http-header-validation', 'http-custom-header-server-validation'],
  },
  client: {
    '2025-11-25': ['json-schema-2020-12-preservation'],
    '2026-07-28': ['json-schema-2020-12-preservation'],
  },
};

/** Scenarios of the tasks extension, which is one of 2026-07-28. */
const OF_TASKS = [
  'tasks-lifecycle',
  'tasks-capability-negotiation',
  'tasks-wire-fields',
  'tasks-request-state-removal',
  'tasks-mrtr-input',
  'tasks-request-headers',
  'tasks-dispatch-and-envelope',
  'tasks-required-task-error',
  'tasks-mrtr-composition',
];

/** The scenario of the tasks extension that the suite has and skips whatever the server does. */
export const SKIPPED = 'tasks-status-notifications';

/** What we look at in a run besides what the suite requires. */
export interface Besides {
  readonly required: readonly string[];
  /** Reported, and not required, because the era of the server behind the gateway does not define what it is about. */
  readonly reported: readonly string[];
}

export function besidesOf({ way, revision }: Run): Besides {
  const required = BESIDES[way.leg][revision];
  if (way.leg === 'client' || revision === '2025-11-25') return { required, reported: [] };
  const defined = fixtureOf(way, revision) !== LEGACY;
  return { required: defined ? [...required, ...OF_TASKS] : required, reported: defined ? [] : OF_TASKS };
}

/** The fixture server behind the gateway at a revision. */
export function fixtureOf({ server }: ServerWay, revision: Revision): Fixture {
  return typeof server === 'string' ? server : server[revision];
}

/** Scenarios whose names begin so need a gateway that signs in to servers, and are listed and not required. */
export const SIGNING_IN = 'auth/';
