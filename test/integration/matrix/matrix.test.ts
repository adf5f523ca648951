// Any client, any server: within an era everything works, and docs/matrix.md shows all that works. UPDATE_GENERATED=1 rewrites it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../harness/gateway.ts';
import { CLIENT_LANES, SERVER_LANES } from './cells.ts';
import { type Cell, runMatrix } from './run.ts';
import { matrixPage } from './table.ts';

let cells: Cell[];

beforeAll(async () => {
  cells = await runMatrix();
}, 300_000);

const SAME_ERA = SERVER_LANES.flatMap((server) =>
  CLIENT_LANES.filter(({ era }) => server.era === 'both' || era === server.era).map(
    ({ kind, transport }) => [kind, transport, server.name] as const,
  ),
);

describe('Within an era everything works', () => {
  test.each(SAME_ERA)('%s over %s with %s', (kind, transport, name) => {
    const cell = cells.find(
      ({ client, server }) => client.kind === kind && client.transport === transport && server.name === name,
    );

    const broken = Object.entries(cell!.failures).flatMap(([feature, reason]) =>
      reason === undefined ? [] : [`${feature}: ${reason}`],
    );
    expect(broken).toEqual([]);
  });
});

test('matrix.md is what was found', () => {
  const file = join(ROOT, 'docs/matrix.md');
  const page = matrixPage(cells);
  if (process.env.UPDATE_GENERATED === '1') writeFileSync(file, page);

  const reasons = cells.flatMap(({ client, server, failures }) =>
    Object.entries(failures).flatMap(([feature, reason]) =>
      reason === undefined ? [] : [`${client.kind} over ${client.transport}, ${server.name}, ${feature}: ${reason}`],
    ),
  );
  expect(readFileSync(file, 'utf8'), reasons.join('\n')).toBe(page);
});
