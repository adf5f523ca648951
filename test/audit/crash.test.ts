import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { verifyAudit } from '../../src/audit/verify.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { AUDIT_MIGRATIONS } from '../../src/storage/migrations.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { openLog } from './calls.ts';

const ROUNDS = 5;

test('a process killed in the middle of writing loses no record that it had acknowledged', async () => {
  const file = join(temporaryFolder(), 'audit.db');
  const acknowledged = new Set<string>();

  for (let round = 0; round < ROUNDS; round += 1) {
    const more = await appendUntilKilled(file, 50 + Math.floor(Math.random() * 400));
    for (const line of more) acknowledged.add(line);
    const stored = storedRecords(file);
    expect([...acknowledged].filter((line) => !stored.has(line))).toEqual([]);
    expect(verifyAudit(file)).toMatchObject({ ok: true });
  }

  expect(acknowledged.size).toBeGreaterThan(ROUNDS * 50);
  const { log } = await openLog({ file });
  await log.close();
  const stored = [...storedRecords(file)];
  const idsOf = (kind: string) =>
    stored.filter((line) => line.startsWith(kind)).map((line) => line.slice(kind.length + 1));
  expect(idsOf('outcome').sort()).toEqual(idsOf('intent').sort());
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: stored.length });
}, 60_000);

/** Runs the appender until it has acknowledged so many records, kills it, and returns all that it acknowledged. */
async function appendUntilKilled(file: string, enough: number): Promise<string[]> {
  const script = fileURLToPath(new URL('appender.ts', import.meta.url));
  const child = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
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

function storedRecords(file: string): Set<string> {
  const db = openDatabase(file, { migrations: AUDIT_MIGRATIONS, readonly: true, synchronous: 'NORMAL' });
  const lines = db.prepare<[], string>("SELECT kind || ' ' || call FROM records").pluck().all();
  db.close();
  expect(new Set(lines).size).toBe(lines.length);
  return new Set(lines);
}
