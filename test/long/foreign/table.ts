// The page of foreign servers: a table for each server and transport, a row for each client, a column for each feature.
import { FEATURES } from './features.ts';
import { SERVERS, versionOf } from './install.ts';
import type { ForeignCell } from './run.ts';

/** What came of a feature in a cell. */
type Mark = 'yes' | 'repaired' | 'absent' | 'lost';

const SIGNS: Readonly<Record<Mark, string>> = { yes: '✓', repaired: '+', absent: '-', lost: '✗' };

/** What came of a feature directly and through the gateway, seen together. */
export function markOf({ directly, through }: ForeignCell, feature: string): Mark {
  if (through[feature] === undefined) return directly[feature] === undefined ? 'yes' : 'repaired';
  return directly[feature] === undefined ? 'lost' : 'absent';
}

/** The whole of docs/foreign.md. */
export function foreignPage(cells: readonly ForeignCell[]): string {
  const parts = SERVERS.map((server) => {
    const own = cells.filter((cell) => cell.server === server);
    const tables = Map.groupBy(own, ({ transport }) => transport);
    const texts = Array.from(tables, ([transport, rows]) => `Over ${transport}:\n\n${tableOf(rows)}\n`);
    return `## ${server}: ${versionOf(server)}\n\n${texts.join('\n')}`;
  });
  return `# What works with servers of other SDKs\n\n${INTRODUCTION}\n\n${parts.join('\n')}`;
}

const INTRODUCTION = `Written by \`test/long/foreign.test.ts\` (\`npm run test:long\`), which installs servers made with other SDKs, in the versions that were the newest
on 1 December 2026. It tries every feature twice: directly between the client and the server, and with the gateway between them. Over stdio the
client starts the server, or the gateway as \`mcp-gateway stdio\`; over Streamable HTTP it uses the URL of the server, or \`/mcp/s/NAME\`. The clients are
those of the TypeScript SDK, both generations, and of the Python SDK, both generations; \`legacy\` is 2025-11-25, \`modern\` is 2026-07-28.

- \`${SIGNS.yes}\` works directly and through the gateway
- \`${SIGNS.repaired}\` works through the gateway only: the gateway bridges what the two lack
- \`${SIGNS.absent}\` works neither way: the client or the server does not have it
- \`${SIGNS.lost}\` works directly and not through the gateway: a defect, which fails the test

Two things differ through the gateway that the features leave out:

- A legacy client that has set no log level gets no lines of \`debug\`.
- A log line that comes after the answer reaches a legacy client within a second, and no modern one. mcp-go sends lines beside its answer, so its
  server here waits behind each.`;

function tableOf(cells: readonly ForeignCell[]): string {
  const features = Object.keys(FEATURES);
  const rows = cells.map((cell) => [cell.client, ...features.map((feature) => SIGNS[markOf(cell, feature)])]);
  const all = [['client', ...features], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(3, ...all.map((row) => row[column]!.length)));
  const lines = all.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`);
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return lines.join('\n');
}
