// The lines that a terminal shows of a running gateway, each cut to one row; what clients and servers say of themselves is cleaned.
import { sep } from 'node:path';
import type { Status } from '../core/settlement.ts';
import { clientSetups } from '../downstream/client-setup.ts';
import type { EndedCall } from '../gateway/watcher.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { hint } from './program.ts';
import { oneLine } from './output.ts';
import { cut } from './table.ts';
import { VERSION } from './version.ts';

const MOST_CLIENT = 20;
const MOST_NAME = 48;
/** Lines about what failed, and one about warnings among them; so the start takes ten lines at most. */
const MOST_TROUBLE = 3;

/** What is said at once: where it is, and how clients get there. */
export function headLines(url: string, needsToken: boolean): string[] {
  return [
    `mcp-gateway ${VERSION} at ${url}`,
    ...clientSetups(url, needsToken).map(({ client, line }) => `  ${client.padEnd(11)}  ${line}`),
  ];
}

/** How far the start has come. */
export function progressLine(servers: readonly ServerStatus[], ms: number): string {
  const used = servers.filter(({ state }) => state !== 'disabled');
  if (used.length === 0) return 'no servers yet: put an entry under mcpServers, or a file into servers.d/';
  const ready = used.filter(isUp);
  const tools = ready.reduce((sum, server) => sum + server.tools, 0);
  const waiting = used.filter(isComing).map(({ name }) => name);
  const count =
    ready.length === used.length ? plural(ready.length, 'server') : `${ready.length} of ${used.length} servers`;
  const pending = waiting.length > 0 ? `, waiting for ${oneLine(waiting.join(', '))}` : '';
  return `${count} ready, ${plural(tools, 'tool')}, ${duration(ms)}${pending}`;
}

/** Whether a server answers calls. */
export function isUp({ state }: ServerStatus): boolean {
  return state === 'ready' || state === 'idle';
}

/** Whether a server is being started. */
export function isComing({ state }: ServerStatus): boolean {
  return state === 'connecting';
}

/** What failed in the start and why, and what the configuration is warned of. */
export function troubleLines(servers: readonly ServerStatus[], warnings: number): string[] {
  const failed = servers.filter(({ state }) => state === 'waiting' || state === 'invalid');
  const room = warnings > 0 ? MOST_TROUBLE - 1 : MOST_TROUBLE;
  const shown = failed.length > room ? failed.slice(0, room - 1) : failed;
  const rest = failed.length - shown.length;
  return [
    ...shown.map(failureLine),
    ...(rest > 0 ? [`  and ${rest} more: ${hint('servers')}`] : []),
    ...(warnings > 0 ? [`  ${plural(warnings, 'warning')} in the configuration: ${hint('config validate')}`] : []),
  ];
}

/** Why a server cannot be used: the cause first, since a line is short, without the name, which stands there already. */
export function failureLine({ name, lastError = 'no reason was given' }: ServerStatus): string {
  return `  ${oneLine(name)}  failed: ${oneLine(near(causeIn(lastError)))}`;
}

/** How a problem of the configuration begins: with the place in its file. */
export const OF_CONFIGURATION = /^\S.*?:\d+:\d+ /;

/** A problem with its file as it is reached from here, so that the problem itself is not cut. */
export function near(problem: string): string {
  const here = `${process.cwd()}${sep}`;
  return problem.startsWith(here) && OF_CONFIGURATION.test(problem) ? problem.slice(here.length) : problem;
}

/** What stands before a cause: names the server, which the row does already. */
const OPENING = /^The server "[^"]*" (?:is not available: |went away[^:]*: )?/;

function causeIn(text: string): string {
  const [first = ''] = text.split('\n', 1);
  const brief = first.replace(OPENING, '').replace(OPENING, '');
  return / on stderr: (.+)$/.exec(brief)?.[1] ?? brief;
}

const WORDS: Readonly<Record<Status, string>> = {
  ok: 'ok',
  tool_error: 'tool failed',
  protocol_error: 'error',
  refused: 'refused',
  unreachable: 'unreachable',
  timed_out: 'timed out',
  cancelled: 'cancelled',
  unknown: 'broke off',
};

/** A call that has ended: who called what, how it went and how long it took. */
export function callLine({ call, target, requested, status, reason }: EndedCall): string {
  const client = cut(oneLine(call.client?.name ?? call.principal.id), MOST_CLIENT);
  const name = cut(oneLine(target?.exposed ?? requested ?? call.action), MOST_NAME);
  const why = reason === undefined ? '' : `  ${oneLine(causeIn(reason.slice(0, 1_000)))}`;
  return `${client}  ${name}  ${WORDS[status]}  ${duration(performance.now() - call.startedAt)}${why}`;
}

/** Calls of one second that are too many to be shown one by one. */
export function countLine(ok: number, failed: number): string {
  const failures = failed > 0 ? `, ${failed} of them not ok` : '';
  return `… and ${plural(ok + failed, 'more call')} in this second${failures}`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A time as one reads it. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 120 * 60_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
