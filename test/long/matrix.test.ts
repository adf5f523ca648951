// Large messages between any client and any server.
import { expect, test } from 'vitest';
import { carrying } from '../integration/matrix/contents.ts';
import { runMatrix } from '../integration/matrix/run.ts';

test('3 MiB pass in every cell of the matrix', async () => {
  const cells = await runMatrix({ features: { large: carrying(3 * 1024 * 1024) }, beside: 1 });

  expect(cells).toHaveLength(72);
  expect(
    cells.flatMap(({ client, server, failures }) =>
      failures.large === undefined ? [] : [`${client.kind} ${client.transport} ${server.name}: ${failures.large}`],
    ),
  ).toEqual([]);
});
