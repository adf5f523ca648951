// Writes the lines about a running gateway for a terminal, and makes texts of clients and servers safe for it.
import { sep } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { clientSetups } from '../downstream/client-setup.ts';
import type { EndedCall } from '../gateway/watcher.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { hint } from './program.ts';
import { duration, oneLine, plural } from './output.ts';
import { cut } from './table.ts';
import { VERSION } from './version.ts';
import type { Status } from '../core/call-context.ts';

const CLIENT_WIDTH = 20;
const NAME_WIDTH = 48;

/** The first lines: the URL, and how clients connect. */
export function headLines(url: string, needsToken: boolean): string[] {
  return [
    `mcp-gateway ${VERSION} at ${url}`,
    ...clientSetups(url, needsToken).map(({ client, line }) => `  ${client.padEnd(11)}  ${line}`),
  ];
}

/** The progress of the start. */
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

/** The servers that failed to start and why, and the number of warnings about the configuration. */
export function failureLines(servers: readonly ServerStatus[], warnings: number): string[] {
  const failed = servers.filter(({ state }) => state === 'waiting' || state === 'invalid');
  const room = BOUNDS.screenFailures - (warnings > 0 ? 1 : 0);
  const shown = failed.length > room ? failed.slice(0, room - 1) : failed;
  const rest = failed.length - shown.length;
  return [
    ...shown.map(failureLine),
    ...(rest > 0 ? [`  and ${rest} more: ${hint('servers')}`] : []),
    ...(warnings > 0 ? [`  ${plural(warnings, 'warning')} in the configuration: ${hint('config validate')}`] : []),
  ];
}

/** Why a server cannot be used. The cause comes first, because the line is short. */
export function failureLine({ name, lastError = 'no reason was given' }: ServerStatus): string {
  return `  ${oneLine(name)}  failed: ${oneLine(withRelativePath(causeIn(lastError)))}`;
}

/** The beginning of a configuration problem: file, line and column. */
export const OF_CONFIGURATION = /^\S.*?:\d+:\d+ /;

/** A configuration problem with a relative path, so that more of the problem fits the line. */
export function withRelativePath(problem: string): string {
  const folder = `${process.cwd()}${sep}`;
  return problem.startsWith(folder) && OF_CONFIGURATION.test(problem) ? problem.slice(folder.length) : problem;
}

/** The words before a cause that name the server, which the line does already. */
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

/** A call that has ended: client, name, status, duration, and the cause of an error. */
export function callLine({ call, target, requested, status, reason }: EndedCall): string {
  const client = cut(oneLine(call.client?.name ?? call.principal.id), CLIENT_WIDTH);
  const name = cut(oneLine(target?.exposed ?? requested ?? call.action), NAME_WIDTH);
  const why = reason === undefined ? '' : `  ${oneLine(causeIn(reason.slice(0, BOUNDS.screenReason)))}`;
  return `${client}  ${name}  ${WORDS[status]}  ${duration(performance.now() - call.startedAt)}${why}`;
}

/** The number of further calls in one second. */
export function countLine(ok: number, failed: number): string {
  const failures = failed > 0 ? `, ${failed} of them not ok` : '';
  return `… and ${plural(ok + failed, 'more call')} in this second${failures}`;
}
