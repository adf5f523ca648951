// `mcp-gateway audit query|verify`: reads the log, with or without a running gateway.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HOUR, MINUTE, SECOND } from '../core/bounds/bound.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { type AuditFilters, type AuditRow, queryAudit } from '../audit/query.ts';
import { verifyAudit } from '../audit/verify.ts';
import { explainDecision } from '../core/decision.ts';
import { EXIT, ExitError, UsageError } from './exit-codes.ts';
import { choice, type Command, type Flags, integer, type Invocation, text } from './options.ts';
import { print, printJson, printJsonLine, say } from './output.ts';
import { stateDirectoryOf } from './state-directory.ts';
import { table, terminalWidth } from './table.ts';
import { STATUSES } from '../core/call-context.ts';

const ROW_STATUSES = [...STATUSES, 'in flight'] as const;

/** The width of a terminal that fits every column of the table. */
const WIDE = 100;

export const auditQuery: Command = {
  usage: '[filters]',
  options: Object.fromEntries(
    ['since', 'until', 'principal', 'server', 'tool', 'method', 'status', 'text', 'kind', 'limit'].map((name) => [
      name,
      { type: 'string' as const },
    ]),
  ),
  help: [
    ['--since TIME', 'from then on: 30m, 1h, 7d, or ISO 8601 (UTC where it says no zone)'],
    ['--until TIME', 'before then'],
    ['--principal ID', 'who called'],
    ['--server NAME', 'the server that was called'],
    ['--tool NAME', 'the name called, as offered or as the server has it'],
    ['--method METHOD', 'tools/call, resources/read, …'],
    ['--status STATUS', ROW_STATUSES.join(', ')],
    ['--text TEXT', 'anywhere in the record'],
    ['--kind KIND', 'call (default) or event: starts, stops, reloads, failed authentication'],
    ['--limit N', `most rows, newest first (default ${BOUNDS.auditRows})`],
    ['--json', 'one JSON document a line'],
  ],
  examples: ({ typed }) => [
    `${typed} audit query --since 1h --status tool_error`,
    `${typed} audit query --tool echo --json | jq .duration`,
  ],
  run: (invocation) => {
    const filters = filtersOf(invocation.flags);
    const rows = queryAudit(folderOf(invocation), filters);
    if (invocation.flags.json)
      for (const row of rows) printJsonLine({ ...row, time: new Date(row.time).toISOString() });
    else printRows([...rows]);
    return Promise.resolve(EXIT.ok);
  },
};

export const auditVerify: Command = {
  examples: ({ typed }) => [`${typed} audit verify`],
  run: (invocation) => {
    const result = verifyAudit(folderOf(invocation));
    if (invocation.flags.json) printJson(result);
    else if (result.ok)
      print(`ok: ${result.records} records, the chain is whole${result.last ? `, last hash ${result.last.hash}` : ''}`);
    else
      say(
        `not ok: record ${result.problem?.seq ?? '?'}: ${result.problem?.message ?? ''} (${result.records} records before it are whole)`,
      );
    if (result.unfinished !== undefined && !invocation.flags.json)
      say(`the last ${result.unfinished} bytes are a record that is being written, or was when its writer was killed.`);
    return Promise.resolve(result.ok ? EXIT.ok : EXIT.checkFailed);
  },
};

function folderOf(invocation: Invocation): string {
  const folder = join(stateDirectoryOf(invocation), 'audit');
  if (existsSync(folder)) return folder;
  throw new ExitError(
    EXIT.notFound,
    existsSync(`${folder}.db`)
      ? `${folder}.db is a log of an earlier version; start the gateway once, which takes it over.`
      : `there is no log at ${folder}; it begins when the gateway first runs. Name another place with --state.`,
  );
}

function filtersOf(flags: Flags): AuditFilters {
  return {
    since: timeOf(flags, 'since'),
    until: timeOf(flags, 'until'),
    principal: text(flags, 'principal'),
    server: text(flags, 'server'),
    tool: text(flags, 'tool'),
    method: text(flags, 'method'),
    text: text(flags, 'text'),
    status: choice(flags, 'status', ROW_STATUSES),
    kind: choice(flags, 'kind', ['call', 'event']),
    limit: integer(flags, 'limit', { min: 1, max: BOUNDS.auditRowLimit }) ?? BOUNDS.auditRows,
  };
}

const UNITS: Readonly<Record<string, number>> = { s: SECOND, m: MINUTE, h: HOUR, d: 24 * HOUR, w: 7 * 24 * HOUR };

/** Reads a time: an age such as `30m`, or ISO 8601, which is UTC if it names no zone. Throws UsageError. */
function timeOf(flags: Flags, name: string): number | undefined {
  const value = text(flags, name);
  if (value === undefined) return undefined;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(value) ?? [];
  if (amount !== undefined && unit !== undefined) return Date.now() - Number(amount) * (UNITS[unit] ?? 0);
  const zoned = /^\d{4}-\d{2}-\d{2}T[\d:.]+$/.test(value) ? `${value}Z` : value;
  const time = /^\d{4}-/.test(value) ? Date.parse(zoned) : NaN;
  if (Number.isNaN(time))
    throw new UsageError(
      `--${name} takes 30m, 1h, 7d or ISO 8601 like 2026-11-22T10:00:00Z, not ${JSON.stringify(value)}.`,
    );
  return time;
}

function printRows(rows: readonly AuditRow[]): void {
  if (rows.length === 0) {
    say('nothing in the log fits.');
    return;
  }
  const events = rows.some((row) => row.kind === 'event');
  print(events ? table(['TIME', 'EVENT', 'DETAIL'], rows.map(eventCells)) : callTable(rows));
}

/** On a narrow terminal the table has no column for the server, because most names begin with it. */
function callTable(rows: readonly AuditRow[]): string {
  const header = ['TIME', 'WHO', 'METHOD', 'SERVER', 'NAME', 'STATUS', 'MS', 'WHY'];
  const wide = terminalWidth() >= WIDE;
  const shown = (cells: readonly string[]) => cells.filter((_, column) => wide || header[column] !== 'SERVER');
  return table(
    shown(header),
    rows.map((row) => shown(callCells(row))),
  );
}

function eventCells(row: AuditRow): string[] {
  return [
    timeCell(row.time),
    row.kind === 'event' ? row.event : row.kind,
    row.kind === 'event' ? JSON.stringify(row.detail) : '',
  ];
}

/** A time in UTC, to the second; `--json` shows milliseconds. */
function timeCell(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

function callCells(row: AuditRow): string[] {
  const time = timeCell(row.time);
  if (row.kind !== 'call')
    return [time, '', `(${row.kind})`, '', '', '', '', `record ${row.seq} is not what was written; see audit verify`];
  const why = row.decision.allowed ? (row.error ?? '') : explainDecision(row.decision);
  return [
    time,
    row.principal.id,
    row.method,
    row.server ?? '',
    row.exposed ?? '',
    row.status,
    row.duration === undefined ? '' : row.duration.toFixed(1),
    why,
  ];
}
