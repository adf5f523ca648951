// What the log of a gateway says of the two sides of its calls: each call reaches its server in the era in which its client speaks.
import type { CallRow } from '../../src/audit/query.ts';
import type { Era } from '../../src/core/call.ts';
import type { RunningGateway } from '../integration/harness/gateway.ts';

const ALL = '1000000';
const ERAS: readonly Era[] = ['legacy', 'modern'];

/** What is wrong with the records of calls at a server, a line each. */
export async function wrongRecords(gateway: RunningGateway, server: string): Promise<string[]> {
  const { status, stdout, stderr } = await gateway.cli('audit', 'query', '--json', '--server', server, '--limit', ALL);
  if (status !== 0) return [`the log could not be read: ${stderr}`];
  const lines = stdout.split('\n').filter(Boolean);
  return wrongAmong(lines.map((line) => JSON.parse(line) as SidesOfCall));
}

export type SidesOfCall = Pick<CallRow, 'method' | 'downstream' | 'upstream'>;

const eraOf = (side: CallRow['downstream']): string => ('era' in side ? side.era : side.dialect);

/** Calls that reached their server are expected in each era, and none with different eras on its sides. */
export function wrongAmong(calls: readonly SidesOfCall[]): string[] {
  const reached = calls.flatMap(({ method, downstream, upstream }) =>
    upstream ? [{ method, client: eraOf(downstream), server: upstream.era }] : [],
  );
  const absent = ERAS.filter((era) => !reached.some(({ server }) => server === era));
  const mixed = reached.filter(({ client, server }) => client !== server);
  return [
    ...absent.map((era) => `none of ${reached.length} calls reached the server in the ${era} era`),
    ...countEach(
      mixed.map(({ method, client, server }) => `${method}: ${client} at its client, ${server} at its server`),
    ),
  ];
}

/** Each line once, with how often it was there. */
function countEach(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => `${line} (records: ${count})`);
}
