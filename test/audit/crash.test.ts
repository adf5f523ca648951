import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { verifyAudit } from '../../src/audit/verify.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { openLog } from './calls.ts';
import { segmentPaths, storedCalls, storedLines } from './segment-text.ts';

const ROUNDS = 5;
/** Small, so that some are killed while one segment follows another. */
const SEGMENT_BYTES = 8_192;

test('a process killed in the middle of writing loses no record that it had acknowledged', async () => {
  const folder = join(temporaryFolder(), 'audit');
  const acknowledged = new Set<string>();

  for (let round = 0; round < ROUNDS; round += 1) {
    const more = await appendUntilKilled(folder, 50 + Math.floor(Math.random() * 400));
    for (const line of more) acknowledged.add(line);
    const stored = storedRecords(folder);
    expect([...acknowledged].filter((line) => !stored.has(line))).toEqual([]);
    expect(verifyAudit(folder)).toMatchObject({ ok: true });
  }

  expect(acknowledged.size).toBeGreaterThan(ROUNDS * 50);
  expect(segmentPaths(folder).length).toBeGreaterThan(ROUNDS);
  const { log } = openLog({ folder });
  log.close();
  const stored = [...storedRecords(folder)];
  const idsOf = (kind: string) =>
    stored.filter((line) => line.startsWith(kind)).map((line) => line.slice(kind.length + 1));
  expect(idsOf('outcome').sort()).toEqual(idsOf('intent').sort());
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: storedLines(folder).length });
}, 60_000);

/** Runs the appender until it has acknowledged so many records, kills it, and returns all that it acknowledged. */
async function appendUntilKilled(folder: string, enough: number): Promise<string[]> {
  const script = fileURLToPath(new URL('appender.ts', import.meta.url));
  const child = spawn(process.execPath, [script, folder, String(SEGMENT_BYTES)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    if (line.length === 'outcome '.length + 36 || line.length === 'intent '.length + 36) lines.push(line);
    if (lines.length === enough) child.kill('SIGKILL');
  }
  expect(await exited).toEqual([null, 'SIGKILL']);
  return lines;
}

function storedRecords(folder: string): Set<string> {
  const lines = storedCalls(folder);
  expect(new Set(lines).size).toBe(lines.length);
  return new Set(lines);
}
