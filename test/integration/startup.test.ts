// How long it takes from the start of the program to the line that says where it listens, against the bare start of Node.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, expect, test } from 'vitest';
import { BIN, workspace } from './harness/gateway.ts';

const ROUNDS = 9;
const MOST_ROUNDS = 30;

const dead = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [
    `dead${index}`,
    [{ command: `/no/such/program-${index}` }, { url: 'http://127.0.0.1:9/mcp' }, { command: 'false' }][index % 3],
  ]),
);
const spaces = { none: workspace({}), dead: workspace({ mcpServers: dead }) };
afterAll(() => Object.values(spaces).forEach((space) => space.remove()));

async function bare(): Promise<number> {
  const began = performance.now();
  await once(spawn(process.execPath, ['-e', '0']), 'exit');
  return performance.now() - began;
}

async function listening(name: keyof typeof spaces): Promise<number> {
  const { config, state } = spaces[name];
  const began = performance.now();
  const child = spawn(process.execPath, [BIN, 'serve', '--port', '0', '--config', config, '--state', state], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const taken = performance.now() - began;
  expect(String(line)).toMatch(/^http:/);
  child.kill('SIGTERM');
  await once(child, 'exit');
  return taken;
}

test('it listens within 10 bare starts of Node and 150 ms, and 50 dead servers do not hold it up', async () => {
  const times = { bare: [] as number[], none: [] as number[], dead: [] as number[] };
  // the best of each: what else runs on the machine only ever adds
  const best = () =>
    [times.bare, times.none, times.dead].map((taken) => Math.min(...taken)) as [number, number, number];
  const holds = ([least, none, dead]: [number, number, number]) => none <= 10 * least + 150 && dead <= 1.2 * none;
  // taken in turn, so that whatever else the machine does meets all of them; a busy one takes more rounds to show its best
  for (let round = 0; round < MOST_ROUNDS && (round < ROUNDS || !holds(best())); round += 1) {
    times.bare.push(await bare());
    times.none.push(await listening('none'));
    times.dead.push(await listening('dead'));
  }

  const [least, none, dead] = best();
  expect(none, JSON.stringify(times)).toBeLessThanOrEqual(10 * least + 150);
  expect(dead, JSON.stringify(times)).toBeLessThanOrEqual(1.2 * none);
}, 120_000);
