// Which files of the gateway take part in one call: those that run a function between a request and its answer, by V8's own count.
import { rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { openCaller, type Subject } from './exchange.ts';
import { startGateway, toolNames, untilListed } from './gateway.ts';
import { launch, path } from './process.ts';

/** Rounds that do not count: what is started or learnt once is no part of a call. */
const WARMUP = 3;
/** Rounds that do: a file counts that took part in each, so that timers which happen to fire add none. */
const ROUNDS = 7;
/** The time that work before and after a call gets to end, in ms. */
const QUIET_MS = 50;

/** The files of `src` by the kind of call that they took part in. */
export interface EnteredFiles {
  readonly modernCall: readonly string[];
  readonly list: readonly string[];
  /** A legacy tools/call that elicits: the first of a session, which gets an instance of the server of its own, and the second. */
  readonly legacyFirst: readonly string[];
  readonly legacySecond: readonly string[];
}

/**
 * Runs the built gateway of a clone (`root` is a real path) in front of two Streamable HTTP servers, a modern one that echoes and a legacy
 * one that elicits, and calls it from outside. At 6613409 these are 72, 48, 103 and 88 files.
 */
export async function enteredFiles(root: string): Promise<EnteredFiles> {
  const dist = join(root, 'dist');
  const socket = join(tmpdir(), `mcp-gateway-entered-${process.pid}.sock`);
  process.env.BENCH_ENTERED_SOCKET = socket;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(socket, { force: true }));
  const modern = stack.use(await launch([path('fixtures/servers/modern-http.ts')]));
  const legacy = stack.use(await launch([path('fixtures/servers/sdk-v1-server.ts')]));
  const servers = { modern: { url: modern.url.href }, legacy: { url: legacy.url.href } };
  const gateway = stack.use(
    await startGateway(join(dist, 'cli/bin.js'), servers, ['--import', path('bench/entered-hook.ts')]),
  );
  await untilListed(gateway, ['modern__echo', 'legacy__ask_form']);

  const built = `${pathToFileURL(dist).href}/`;
  const taken = async (): Promise<string[]> => {
    const urls = JSON.parse(await text(createConnection(socket))) as string[];
    return urls.filter((url) => url.startsWith(built)).map((url) => url.slice(built.length).replace(/js$/, 'ts'));
  };
  /** The files of a caller's first and of its second call. */
  const measured = async (subject: Omit<Subject, 'url'>): Promise<string[][]> => {
    const calls: string[][][] = [[], []];
    for (let round = 0; round < WARMUP + ROUNDS; round++) {
      const caller = await openCaller({ ...subject, url: gateway.url.href });
      for (const [number, files] of calls.entries()) {
        await delay(QUIET_MS);
        await taken(); // forgets what was before
        await caller.call(number + 1);
        await delay(QUIET_MS);
        files.push(await taken());
      }
      await caller.close();
    }
    return calls.map((files) => inAll(files.slice(WARMUP)));
  };

  const [, modernCall = []] = await measured({ kind: 'modern', tool: 'modern__echo' });
  const tools = await toolNames(gateway.url, 1);
  const [, list = []] = await measured({ kind: 'list', tool: 'modern__echo', tools: tools.length });
  const [legacyFirst = [], legacySecond = []] = await measured({ kind: 'asked-session', tool: 'legacy__ask_form' });
  return { modernCall, list, legacyFirst, legacySecond };
}

const inAll = (lists: readonly string[][]): string[] =>
  (lists[0] ?? []).filter((file) => lists.every((list) => list.includes(file))).sort();
