import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { intentOf } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { size } from '../size.ts';
import { makeCall, makeContext, openLog } from './calls.ts';
import { segmentPaths, storedLines } from './segment-text.ts';
import { hashOf, prefixOf } from '../../src/audit/segment-file.ts';

/** Few to a segment, so that attacks meet the ends of segments too. */
const SEGMENT_BYTES = 4_000;

async function writeLog(calls = 30): Promise<string> {
  const { log, folder } = openLog({ bounds: boundsWith({ auditSegment: SEGMENT_BYTES }) });
  for (let index = 0; index < calls; index += 1) await log.append(intentOf(makeCall(), makeContext()));
  log.close();
  return folder;
}

/** A change of the lines of one segment; `at` is the index of a line that has another after it. */
interface Attack {
  readonly name: string;
  readonly change: (lines: string[], at: number) => void;
  /** The record that the check must name, after that of the line. */
  readonly found: number;
}

const edited = (line: string) => line.replace('"time":1', '"time":2');

const attacks: Attack[] = [
  { name: 'edit', change: (lines, at) => (lines[at] = edited(lines[at]!)), found: 0 },
  { name: 'edit that is no text', change: (lines, at) => (lines[at] = `${lines[at]!}\0`), found: 0 },
  { name: 'edit of the number', change: (lines, at) => (lines[at] = lines[at]!.replace(/\d+/, '9999')), found: 0 },
  { name: 'edit of the version', change: (lines, at) => (lines[at] = lines[at]!.replace('"v":1', '"v":2')), found: -1 },
  {
    name: 'edit of the link',
    change: (lines, at) => (lines[at] = lines[at]!.replace(/"prev":".{8}/, '"prev":"00000000')),
    found: -1,
  },
  { name: 'removal', change: (lines, at) => lines.splice(at, 1), found: 0 },
  {
    name: 'removal of the line break',
    change: (lines, at) => lines.splice(at, 2, lines[at]! + lines[at + 1]!),
    found: 0,
  },
  { name: 'an empty line', change: (lines, at) => lines.splice(at, 0, ''), found: 0 },
  { name: 'a copy of the line', change: (lines, at) => lines.splice(at, 0, lines[at]!), found: 1 },
  { name: 'a foreign line', change: (lines, at) => lines.splice(at, 0, 'hello'), found: 0 },
  { name: 'swap with the next', change: (lines, at) => lines.splice(at, 2, lines[at + 1]!, lines[at]!), found: 0 },
  {
    name: 'edit with the next record linked to it',
    change: (lines, at) => {
      const before = hashOf(lines[at]!);
      lines[at] = edited(lines[at]!);
      lines[at + 1] = lines[at + 1]!.replace(before, hashOf(lines[at]));
    },
    found: 1,
  },
];

test('every edit, removal, insertion, move and copy is found, and the record named', async () => {
  const original = await writeLog();
  const folder = join(temporaryFolder(), 'audit');
  const segments = segmentPaths(original).length;
  expect(segments).toBeGreaterThan(4);

  fc.assert(
    fc.property(
      fc.constantFrom(...attacks),
      fc.nat(segments - 2),
      fc.nat(1_000),
      ({ name, change, found }, which, where) => {
        rmSync(folder, { recursive: true, force: true });
        cpSync(original, folder, { recursive: true });
        const path = segmentPaths(folder)[which]!;
        const lines = readFileSync(path, 'utf8').split('\n');
        // the first record has none before it that could be suspected instead
        const at = Math.max(which === 0 ? 1 : 0, where % (lines.length - 2));
        const { seq } = JSON.parse(lines[at]!) as { seq: number };
        change(lines, at);
        writeFileSync(path, lines.join('\n'));

        const { ok, problem, records } = verifyAudit(folder);

        expect({ name, ok, seq: problem?.seq, records }).toEqual({
          name,
          ok: false,
          seq: seq + found,
          records: seq + found - 1,
        });
        expect(problem?.message).toMatch(/\w+ \w+/);
      },
    ),
    { numRuns: size(30, 600), examples: attacks.map((attack) => [attack, 1, 3]) },
  );
});

test('every changed byte before the last record is found', async () => {
  const original = await writeLog(15);
  const folder = join(temporaryFolder(), 'audit');
  const segments = segmentPaths(original);
  const lastLine = storedLines(original).at(-1)!;

  fc.assert(
    fc.property(
      fc.nat(segments.length - 1),
      fc.nat(1_000_000),
      fc.integer({ min: 1, max: 255 }),
      (which, where, change) => {
        rmSync(folder, { recursive: true, force: true });
        cpSync(original, folder, { recursive: true });
        const path = segmentPaths(folder)[which]!;
        const bytes = readFileSync(path);
        const end = bytes.length - (which === segments.length - 1 ? Buffer.byteLength(lastLine) + 1 : 0);
        if (end <= 0) return;
        const at = where % end;
        bytes[at] = bytes[at]! ^ change;
        writeFileSync(path, bytes);

        expect({ which, at, ok: verifyAudit(folder).ok }).toEqual({ which, at, ok: false });
      },
    ),
    { numRuns: size(50, 1_500) },
  );
});

test('of the last record the link, the form and the hash tell', async () => {
  const folder = await writeLog(5);
  const path = segmentPaths(folder).at(-1)!;
  const text = readFileSync(path, 'utf8');
  const { last } = verifyAudit(folder);
  const after = (change: (line: string) => string) => {
    const lines = text.split('\n');
    lines.splice(-2, 1, change(lines.at(-2)!));
    writeFileSync(path, lines.join('\n'));
    return verifyAudit(folder);
  };

  expect(after((line) => line.slice(0, -1))).toMatchObject({
    ok: false,
    problem: { seq: last!.seq },
    records: last!.seq - 1,
  });
  expect(after((line) => line.replace('"prev":"', '"prev":"0'))).toMatchObject({
    ok: false,
    problem: { seq: last!.seq - 1 },
  });
  const edit = after(edited);
  expect(edit.last).toMatchObject({ seq: last!.seq });
  expect(edit.last?.hash).not.toBe(last!.hash);
});

const removals: [string, (paths: string[], folder: string) => void, number][] = [
  ['a segment that is missing', ([, second]) => rmSync(second!), 1],
  ['the first segment missing', ([first]) => rmSync(first!), 0],
  ['a segment that is empty', ([, second]) => writeFileSync(second!, ''), 1],
  [
    'a segment that ends within a record',
    ([, second]) => writeFileSync(second!, readFileSync(second!).subarray(0, -1)),
    2,
  ],
  [
    'a segment with another number',
    ([, second, third], folder) => {
      const between = (BigInt(/\d{20}/.exec(second!)![0]) + 1n).toString().padStart(20, '0');
      expect(third! > join(folder, between)).toBe(true);
      renameSync(second!, join(folder, `${between}.jsonl`));
    },
    1,
  ],
  [
    'two segments that changed places',
    ([, second, third]) => {
      renameSync(second!, `${second!}.x`);
      renameSync(third!, second!);
      renameSync(`${second!}.x`, third!);
    },
    1,
  ],
  [
    'a copy of a segment',
    ([, second], folder) => cpSync(second!, join(folder, `${'9'.repeat(15).padStart(20, '0')}.jsonl`)),
    -1,
  ],
];

test.each(removals)('%s is found', async (_, change, segmentsBefore) => {
  const folder = await writeLog();
  const paths = segmentPaths(folder);
  const whole = paths.slice(0, segmentsBefore === -1 ? undefined : segmentsBefore);
  const lines = whole.flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(0, -1));
  change(paths, folder);

  const { ok, problem, records } = verifyAudit(folder);

  expect(ok).toBe(false);
  // of a segment that lost its last line break, the record is not there either
  expect([lines.length, lines.length - 1]).toContain(records);
  expect(problem?.seq).toBe(records + 1);
});

test('a torn end is told, and is nobody’s crime', async () => {
  const folder = await writeLog(3);
  const records = storedLines(folder).length;
  writeFileSync(segmentPaths(folder).at(-1)!, '{"seq":5,"v"', { flag: 'a' });

  expect(verifyAudit(folder)).toMatchObject({ ok: true, records, unfinished: 12 });
});

test('a log that nobody touched is whole, and its ends are named', async () => {
  const folder = await writeLog();
  const lines = storedLines(folder);

  const found = verifyAudit(folder);

  expect(found).toEqual({
    ok: true,
    records: lines.length,
    first: { seq: 1, time: (JSON.parse(lines[0]!) as { time: number }).time, hash: hashOf(lines[0]!) },
    last: {
      seq: lines.length,
      time: (JSON.parse(lines.at(-1)!) as { time: number }).time,
      hash: hashOf(lines.at(-1)!),
    },
  });
});

test('an empty log is whole', async () => {
  const folder = await writeLog(0);

  expect(verifyAudit(folder)).toEqual({ ok: true, records: 0 });
});

test('the begin of the stored bytes is fixed, so that records of this version always verify', () => {
  expect(prefixOf(7, 'ab')).toBe('{"seq":7,"v":1,"prev":"ab",');
  expect(hashOf('{"seq":1}')).toBe('b41e95c43f388d561b146326d84e3a6b9e31c4ef32ab97c04774c31aada3246a');
});

test('a log that is longer than what is read at a time is checked in bounded memory', async () => {
  const { log, folder } = openLog();
  for (let batch = 0; batch < 5; batch += 1)
    await Promise.all(Array.from({ length: 1_000 }, () => log.append(intentOf(makeCall(), makeContext()))));
  const before = process.memoryUsage().arrayBuffers;

  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 5_001 });

  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 1024 * 1024);
});
