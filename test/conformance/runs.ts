// What is run against the suite: one row a way through the gateway.

export type Revision = '2025-11-25' | '2026-07-28';

export interface Run {
  /** Unique; heads a column of the table. */
  readonly name: string;
  /** The requirements, and with them the wire that the suite speaks. */
  readonly revision: Revision;
  /** The fixture server, a file of `fixtures/servers`. */
  readonly server: 'conformance-legacy.ts' | 'conformance-modern.ts';
  /** How the gateway speaks with the fixture server. */
  readonly transport: 'http' | 'sse' | 'stdio';
  /** Whether the suite speaks with the aggregate of all servers instead of the URL of this one. */
  readonly aggregate?: boolean;
}

/** How the fixture server stands behind the gateway: every era and transport. */
const SERVERS = [
  { name: 'modern HTTP', server: 'conformance-modern.ts', transport: 'http' },
  { name: 'modern stdio', server: 'conformance-modern.ts', transport: 'stdio' },
  { name: 'legacy HTTP', server: 'conformance-legacy.ts', transport: 'http' },
  { name: 'HTTP+SSE', server: 'conformance-legacy.ts', transport: 'sse' },
  { name: 'legacy stdio', server: 'conformance-legacy.ts', transport: 'stdio' },
] as const;

const REVISIONS: readonly Revision[] = ['2025-11-25', '2026-07-28'];

export const RUNS: readonly Run[] = REVISIONS.flatMap((revision) => [
  ...SERVERS.map(({ name, ...row }) => ({ name: `${name} ${revision}`, revision, ...row })),
  {
    name: `aggregate ${revision}`,
    revision,
    server: revision === '2026-07-28' ? 'conformance-modern.ts' : 'conformance-legacy.ts',
    transport: 'http',
    aggregate: true,
  },
]);

/** Scenarios that the suite runs and does not require, and that we do. */
export const REQUIRED_BESIDES: Readonly<Record<Revision, readonly string[]>> = {
  '2025-11-25': ['server-session-lifecycle', 'server-sse-polling', 'json-schema-2020-12'],
  '2026-07-28': ['json-schema-2020-12', 'http-header-validation', 'http-custom-header-server-validation'],
};
