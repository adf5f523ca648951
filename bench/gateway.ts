// The gateway as the benchmark runs it: a configuration and a state of its own, and the log read afterwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { linesForward } from '../src/audit/lines.ts';
import { segmentsIn } from '../src/audit/segments.ts';
import { isObject } from '../src/core/json.ts';
import { launch, type Running, runToEnd } from './process.ts';
import { headOf } from '../src/audit/segment-file.ts';

const READY_LIMIT_MS = 20_000;

/** A server's entry in the configuration. */
export type Entry =
  { readonly url: string; readonly type?: 'sse' } | { readonly command: string; readonly args: readonly string[] };

/** A gateway that serves, and the folder that it lives in, which is removed when the gateway is disposed of. */
export interface Gateway extends Running {
  readonly folder: string;
}

/** What the log of a gateway holds after it has stopped. */
export interface AuditCount {
  readonly intents: number;
  readonly outcomes: number;
  /** Calls that have exactly one intent and one outcome. */
  readonly whole: number;
  /** Whether `audit verify` found the chain unbroken. */
  readonly verified: boolean;
  /** From SIGTERM to the end of the process, in milliseconds. */
  readonly stopped: number;
}

/** What must be gone when this process ends, however it ends. */
const folders = new Set<string>();
process.once('exit', () => folders.forEach(remove));

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

const stateOf = (folder: string): string => join(folder, 'state');

/** Starts the built gateway in a new folder under the system's folder for temporary files; `flags` are for Node. */
export async function startGateway(
  bin: string,
  servers: Readonly<Record<string, Entry>>,
  flags: readonly string[] = [],
): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-gateway-bench-'));
  folders.add(folder);
  const config = join(folder, 'mcp-gateway.json');
  writeFileSync(config, JSON.stringify({ mcpServers: servers }));
  try {
    const running = await launch([
      ...flags,
      bin,
      'serve',
      '--port',
      '0',
      '--config',
      config,
      '--state',
      stateOf(folder),
    ]);
    return { ...running, folder, [Symbol.asyncDispose]: () => running.stop().finally(() => remove(folder)) };
  } catch (error) {
    remove(folder);
    throw error;
  }
}

/** The names that one modern tools/list gives. */
export async function toolNames(url: URL, id: number): Promise<unknown[]> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json', // a slow first list would come as a stream else
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list', params: { _meta: meta } }),
  });
  const answer: unknown = await response.json();
  const tools = isObject(answer) && isObject(answer.result) ? answer.result.tools : undefined;
  if (!Array.isArray(tools)) throw new Error(`tools/list failed: HTTP ${response.status} ${JSON.stringify(answer)}`);
  return tools.map((tool) => (isObject(tool) ? tool.name : undefined));
}

/** Waits until the gateway lists that many tools, or these, and gives the number of lists that it took, since the log counts them. */
export async function untilListed({ url }: Gateway, tools: number | readonly string[]): Promise<number> {
  const until = performance.now() + READY_LIMIT_MS;
  for (let lists = 1; ; lists += 1) {
    const names = await toolNames(url, lists);
    const listed = typeof tools === 'number' ? names.length >= tools : tools.every((name) => names.includes(name));
    if (listed) return lists;
    if (performance.now() > until) throw new Error(`Of ${String(tools)} tools are listed: ${names.join(', ')}`);
    await delay(50);
  }
}

/** Stops the gateway, counts its log, and verifies it with the gateway's own command. */
export async function auditOf(bin: string, { folder, stop }: Gateway): Promise<AuditCount> {
  const before = performance.now();
  await stop();
  const stopped = performance.now() - before;
  const config = join(folder, 'mcp-gateway.json');
  const { code } = await runToEnd([bin, 'audit', 'verify', '--config', config, '--state', stateOf(folder)]);
  return { ...countRecords(join(stateOf(folder), 'audit')), verified: code === 0, stopped };
}

/** What no sum of one intent and one outcome is. */
const SEVERAL = 4;

function countRecords(folder: string): Omit<AuditCount, 'verified' | 'stopped'> {
  const kinds = { intent: 0, outcome: 0 };
  /** Of every call, one for its intent and two for its outcome; more where there are several. */
  const parts = new Map<string, number>();
  for (const { path } of segmentsIn(folder)) {
    for (const line of linesForward(path)) {
      const head = headOf(line);
      if (head === undefined || head.kind === 'event') continue;
      kinds[head.kind] += 1;
      const part = head.kind === 'intent' ? 1 : 2;
      const earlier = parts.get(head.call) ?? 0;
      parts.set(head.call, (earlier & part) === 0 ? earlier + part : SEVERAL);
    }
  }
  const whole = [...parts.values()].filter((seen) => seen === 3).length;
  return { intents: kinds.intent, outcomes: kinds.outcome, whole };
}
