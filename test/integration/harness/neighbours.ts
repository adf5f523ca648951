// One gateway in front of nineteen servers that are well and one that is not, and the clients of the nineteen.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerStatus } from '../../../src/upstream/mcp/status.ts';
import { fixture, type GatewayProcess, startGateway } from './gateway.ts';
import type { Harm } from './harms.ts';
import { ask, callText, modern, said, startScripted, tool, toolNames } from './scripted.ts';
import { type RunningServer, startServer } from './servers.ts';
import { statusUntil, until } from './status.ts';

export const HEALTHY = 19;
/** Of the nineteen, how many are processes. */
const PROCESSES = 2;
const PATIENCE = { start: '2s', connect: '1s', firstByte: '1s', idle: '1s', total: '1s' };
/** For what ends at the limit on messages: a busy machine needs more than a second to carry that much. */
const PATIENCE_FOR_MUCH = { ...PATIENCE, firstByte: '10s', idle: '10s', total: '10s' };
/** Many small chunks are as much work as time lets them be, so they end either way. */
const ENDS_AT_THE_LIMIT = /huge(?!.*chunks)/;
/** A call that takes longer has failed: nobody waits for a server that is well. */
const CALL_LIMIT_MS = 5_000;

/** How long its own callers wait for the one once the others are done: some harm has no end of itself. */
const LEAVE_AFTER_MS = 4_000;

/** What the clients met while the one did harm. */
export interface Findings {
  /** Everything that went wrong with the nineteen. */
  readonly errors: readonly string[];
  readonly answered: number;
  /** Milliseconds of each call of the nineteen, sorted. */
  readonly times: readonly number[];
  /** Milliseconds of each list, sorted. */
  readonly lists: readonly number[];
  /** What calls of the one got. */
  readonly harmed: readonly string[];
  /** How much the gateway's resident memory rose at most, in MiB. */
  readonly risenMiB: number;
  /** Of the one, when nothing of it is in flight any more. */
  readonly status: ServerStatus;
}

export class Neighbours {
  readonly gateway: GatewayProcess;
  private readonly web: RunningServer;
  private readonly well: { stop(): Promise<void> };
  private turns = 0;

  /** Messages of servers are limited to `upstreamMessage`, so that what is huge need not be so huge. */
  static async start(upstreamMessage = '1MiB'): Promise<Neighbours> {
    const web = await startServer('faulty-http.ts');
    const well = await startScripted(
      modern(
        () => [tool('echo')],
        ({ rpc, params }) => (rpc === 'tools/call' ? said((params.arguments as { text: string }).text) : undefined),
      ),
    );
    const entry = (index: number) => (index < PROCESSES ? fixture('echo-stdio.ts') : { url: `${well.url}?${index}` });
    const mcpServers = Object.fromEntries(Array.from({ length: HEALTHY }, (_, at) => [`well${at}`, entry(at)]));
    const gateway = await startGateway({
      config: { mcpServers, limits: { upstreamMessage } },
      files: { 'servers.d/evil.json': { ...fixture('echo-stdio.ts') } },
      args: ['--log-level', 'warn'],
    });
    await gateway.attempted();
    return new Neighbours({ gateway, web, well });
  }

  private constructor(parts: { gateway: GatewayProcess; web: RunningServer; well: { stop(): Promise<void> } }) {
    this.gateway = parts.gateway;
    this.web = parts.web;
    this.well = parts.well;
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await Promise.all([this.web.stop(), this.well.stop()]);
  }

  /** Lets the one do its harm while `rounds` of calls go to each of the others. */
  async suffer(harm: Harm, { rounds = 3 } = {}): Promise<Findings> {
    await this.put(harm);
    const before = this.residentMiB();
    let most = before;
    await callText(this.gateway.url, 'evil__turn');
    const leaving = new AbortController();
    const harmed = this.callEvil('http' in harm ? 'broken' : 'harm', leaving.signal);
    const found = { errors: [] as string[], times: [] as number[], lists: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      await Promise.all([this.list(found), ...this.each((name) => this.call(name, found))]);
      most = Math.max(most, this.residentMiB());
    }
    const patience = setTimeout(() => leaving.abort(), LEAVE_AFTER_MS);
    const answers = await harmed;
    clearTimeout(patience);
    return {
      errors: found.errors,
      answered: found.times.length,
      times: found.times.sort((a, b) => a - b),
      lists: found.lists.sort((a, b) => a - b),
      harmed: answers,
      risenMiB: Math.max(most, this.residentMiB()) - before,
      status: await statusUntil(this.gateway, 'evil', ({ inFlight }) => inFlight === 0),
    };
  }

  /** Puts the one in its place; it is well until it turns. */
  private async put(harm: Harm): Promise<void> {
    const { gateway, web } = this;
    const marker = join(gateway.directory, `turned-${++this.turns}`);
    const entry =
      'stdio' in harm
        ? fixture('evil-stdio.ts', '--mode', harm.stdio, '--marker', marker, '--bytes', String(harm.bytes ?? 8 << 20))
        : { url: `${web.url}/${harm.http}/${harm.always ? 'always/' : ''}turned-${this.turns}` };
    const much = ENDS_AT_THE_LIMIT.test('stdio' in harm ? harm.stdio : harm.http);
    gateway.write('servers.d/evil.json', { ...entry, timeouts: much ? PATIENCE_FOR_MUCH : PATIENCE });
    const sign = new RegExp(`turned-${this.turns}\\b`);
    await statusUntil(gateway, 'evil', ({ display, state }) => state === 'ready' && sign.test(display));
    await until(
      () => toolNames(gateway.url),
      (names) => names.includes('evil__turn'),
    );
  }

  private each(run: (name: string) => Promise<void>): Promise<void>[] {
    return Array.from({ length: HEALTHY }, (_, index) => run(`well${index}`));
  }

  private async call(name: string, found: { errors: string[]; times: number[] }): Promise<void> {
    const text = `${name} ${found.times.length}`;
    const since = performance.now();
    const signal = AbortSignal.timeout(CALL_LIMIT_MS);
    const params = { name: `${name}__echo`, arguments: { text } };
    const { result, error } = await ask({ url: this.gateway.url, signal }, 'tools/call', params).catch(failed);
    if (result?.content?.[0]?.text === text) found.times.push(performance.now() - since);
    else found.errors.push(`${name}: ${error?.message ?? JSON.stringify(result)}`);
  }

  /** Lists hold everything of the nineteen, and of the one what it offered last. */
  private async list(found: { errors: string[]; lists: number[] }): Promise<void> {
    const since = performance.now();
    const signal = AbortSignal.timeout(CALL_LIMIT_MS);
    const { result, error } = await ask({ url: this.gateway.url, signal }, 'tools/list').catch(failed);
    const names = new Set(((result?.tools ?? []) as { name: string }[]).map((entry) => entry.name));
    const missing = this.missing(names);
    if (error || missing.length > 0) found.errors.push(`tools/list: ${error?.message ?? `no ${missing.join()}`}`);
    else found.lists.push(performance.now() - since);
  }

  private missing(names: ReadonlySet<string>): string[] {
    const wanted = Array.from({ length: HEALTHY }, (_, index) => `well${index}__echo`);
    const missing = wanted.filter((name) => !names.has(name));
    return [...names].some((name) => name.startsWith('evil__')) ? missing : [...missing, 'evil'];
  }

  /** Two calls of the one beside each other, and one more behind them: what each of them gets. */
  private async callEvil(tool: string, signal: AbortSignal): Promise<string[]> {
    const params = { name: `evil__${tool}`, arguments: {}, _meta: { progressToken: 't' } };
    const call = async () => {
      const { error, result } = await ask({ url: this.gateway.url, signal }, 'tools/call', params).catch(failed);
      return error ? (signal.aborted ? 'left' : `${error.code}`) : (result?.content?.[0]?.text ?? 'nothing');
    };
    const both = await Promise.all([call(), call()]);
    return [...both, await call()];
  }

  private residentMiB(): number {
    const status = readFileSync(`/proc/${this.gateway.process.pid ?? 0}/status`, 'latin1');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }
}

function failed(thrown: unknown): Awaited<ReturnType<typeof ask>> {
  return { error: { code: 0, message: String(thrown) } };
}
