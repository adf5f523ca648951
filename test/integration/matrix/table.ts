// The page that shows the matrix: a table for each era pairing, a row for each cell, a column for each feature.
import type { Era } from './cells.ts';
import { FEATURES } from './features.ts';
import type { Cell } from './run.ts';

const PAIRINGS: readonly [Era, Era | 'both', string][] = [
  ['legacy', 'legacy', 'Everything works within an era.'],
  ['modern', 'modern', 'Everything works within an era.'],
  ['legacy', 'both', 'A server of both eras is spoken to in the era of its client, where everything works.'],
  ['modern', 'both', 'A server of both eras is spoken to in the era of its client, where everything works.'],
  ['legacy', 'modern', 'Eras differ: what is marked ✗ is not bridged yet.'],
  ['modern', 'legacy', 'Eras differ: what is marked ✗ is not bridged yet.'],
];

/** The whole of docs/matrix.md. */
export function matrixPage(cells: readonly Cell[]): string {
  const parts = PAIRINGS.map(([client, server, remark]) => {
    const own = cells.filter((cell) => cell.client.era === client && cell.server.era === server);
    return `## ${client} client, ${server === 'both' ? 'server of both eras' : `${server} server`}\n\n${remark}\n\n${tableOf(own)}\n`;
  });
  return `# What works between which client and which server\n\n${INTRODUCTION}\n\n${parts.join('\n')}`;
}

const INTRODUCTION = `Written by \`test/integration/matrix/matrix.test.ts\`, which tries every feature in every cell with real clients and servers of both SDK
generations on the two sides of one gateway. \`legacy\` is 2025-11-25 and before, \`modern\` is 2026-07-28. Combinations that are not
listed do not exist: the modern era has no HTTP+SSE, SDK v1 no modern era, and the servers of SDK v2 no HTTP+SSE.`;

function tableOf(cells: readonly Cell[]): string {
  const features = Object.keys(FEATURES);
  const rows = cells.map(({ client, server, failures }) => [
    `${client.kind}, ${client.transport}`,
    `${server.sdk}, ${server.transport}`,
    ...features.map((feature) => (failures[feature] === undefined ? '✓' : '✗')),
  ]);
  const all = [['client', 'server', ...features], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const lines = all.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`);
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return lines.join('\n');
}
