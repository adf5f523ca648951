// What the log of a gateway says of the two sides of its calls: each call reaches its server in the era in which its client speaks.
import type { CallRow } from '../../src/audit/query.ts';
import type { Era } from '../../src/core/call.ts';
import type { RunningGateway } from '../integration/harness/gateway.ts';

const ALL = '1000000';
const ERAS: readonly Era[] = ['legacy', 'modern'];

const eraOf = (side: CallRow['downstream']): string => ('era' in side ? side.era : side.dialect);

/** What is wrong with the records of calls at a server, a line each; calls that reached it in both eras are expected. */
export async function wrongRecords(gateway: RunningGateway, server: string): Promise<string[]> {
  const { status, stdout, stderr } = await gateway.cli('audit', 'query', '--json', '--server', server, '--limit', ALL);
  if (status !== 0) return [`the log could not be read: ${stderr}`];
  const rows = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as CallRow);
  const reached = rows.flatMap(({ method, downstream, upstream }) =>
    upstream ? [{ method, client: eraOf(downstream), server: upstream.era }] : [],
  );
  const seen = new Set(reached.map((one) => one.server));
  const mixed = reached.filter((one) => one.client !== one.server);
  return [
    ...ERAS.filter((era) => !seen.has(era)).map(
      (era) => `none of ${reached.length} calls reached the server in ${era}`,
    ),
    ...countEach(mixed.map((one) => `${one.method}: ${one.client} at its client, ${one.server} at its server`)),
  ];
}

/** Each line once, with how often it was there. */
function countEach(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => `${line} (${count} of the records)`);
}
