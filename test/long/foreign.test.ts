// Servers of other SDKs: what works between a client and a server directly works through the gateway. UPDATE_GENERATED=1 rewrites docs/foreign.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../integration/harness/gateway.ts';
import { SERVERS } from './foreign/install.ts';
import { type ForeignCell, runServer } from './foreign/run.ts';
import { foreignPage, markOf } from './foreign/table.ts';

const found: ForeignCell[] = [];

/** Each reason once, with the features that it stops. */
function lostIn(cell: ForeignCell): string[] {
  const lost = Object.entries(cell.through).filter(([feature]) => markOf(cell, feature) === 'lost');
  const reasons = Map.groupBy(lost, ([, reason]) => reason);
  return Array.from(reasons, ([reason, entries]) => {
    const features = entries.map(([feature]) => feature).join(', ');
    return `${cell.client} over ${cell.transport}, ${features}: ${reason}`;
  });
}

describe.each(SERVERS)('%s', (server) => {
  test('what works directly works through the gateway', async () => {
    const cells = await runServer(server);
    found.push(...cells);

    expect(cells.flatMap(lostIn)).toEqual([]);
  });
});

test('foreign.md is what was found', () => {
  const file = join(ROOT, 'docs/foreign.md');
  const page = foreignPage(found);
  if (process.env.UPDATE_GENERATED === '1') writeFileSync(file, page);

  expect(readFileSync(file, 'utf8')).toBe(page);
});
