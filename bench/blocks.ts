// For how long one message holds up everybody else: the longest time that the gateway's event loop does not turn, for the worst messages that there can be.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Entry, type Gateway, startGateway, untilListed } from './gateway.ts';
import { META, VERSION } from './messages.ts';
import { launch, path } from './process.ts';
import type { Bound } from './report.ts';

/** The longest that the loop may be held up, in ms. */
const MOST_MS = 30;
/** How long it is looked on after an answer: what was written for it is still on its way. */
const AFTER_MS = 200;

/** How long the loop did not turn, in ms: by the clock, and what its thread worked of that, which other work of the machine does not change. */
interface Pause {
  readonly clock: number;
  readonly work: number;
}

/** The worst of several tries with one message. */
export interface Block extends Pause {
  readonly message: string;
}

const MIB = 1024 * 1024;
const filled = (unit: string, bytes: number): string => unit.repeat(Math.floor(bytes / unit.length));
const keys = (count: number): string => Array.from({ length: count }, (_, n) => `"key${n}":1`).join(',');

/** Arguments of a call for a tool that there is not, or that gives them back. */
const REQUESTS: Readonly<Record<string, string>> = {
  '300,000 keys': `{${keys(300_000)}}`,
  '99,000 keys': `{${keys(99_000)}}`,
  '4 MiB of []': `{"a":[${filled('[],', 3.9 * MIB)}1]}`,
  '99,000 strings': `{"a":[${filled(`"${'x'.repeat(38)}",`, 3.9 * MIB)}1]}`,
  '4 MiB of escapes': `{"a":"${filled('\\n', 3.9 * MIB)}"}`,
};
/** What a caller gets of each worst answer, so that a refusal for another reason is not taken for it. */
const ANSWERS: Readonly<Record<string, RegExp>> = {
  many: /limits\.items/,
  deep: /nested deeper/,
  large: /"result":/,
  escapes: /"result":/,
  huge: /limits\.upstreamMessage/,
};
const TRANSPORTS = ['stdio', 'json', 'stream', 'sse'];

/** Measures each message as often as `tries` says. */
export async function measureBlocks(bin: string, tries: number): Promise<Block[]> {
  const socket = join(tmpdir(), `mcp-gateway-bench-${process.pid}.sock`);
  process.env.BENCH_LOOP_SOCKET = socket;
  await using stack = new AsyncDisposableStack();
  const servers: Record<string, Entry> = {};
  for (const transport of TRANSPORTS) servers[transport] = await verbatim(transport, stack);
  const gateway = stack.use(await startGateway(bin, servers, ['--import', path('bench/watch-loop.ts')]));
  await untilListed(
    gateway,
    TRANSPORTS.map((transport) => `${transport}__echo`),
  );

  const worst = async (message: string, call: () => Promise<unknown>): Promise<Block> => {
    let [clock, work] = [0, 0];
    for (let left = tries; left > 0; left--) {
      // several failures in a row would have a server refused
      for (const transport of TRANSPORTS) await post(gateway, `${transport}__echo`, '{}');
      await longest(socket); // forgets what was before
      await call();
      await delay(AFTER_MS);
      const pause = await longest(socket);
      [clock, work] = [Math.max(clock, pause.clock), Math.max(work, pause.work)];
    }
    return { message, clock, work };
  };
  const blocks = [await worst('none', () => delay(AFTER_MS))];
  for (const [name, args] of Object.entries(REQUESTS))
    blocks.push(await worst(`request: ${name}`, () => post(gateway, 'stdio__echo', args)));
  for (const transport of TRANSPORTS)
    for (const [tool, told] of Object.entries(ANSWERS)) {
      blocks.push(
        await worst(`answer, ${transport}: ${tool}`, () => expecting(told, gateway, `${transport}__${tool}`)),
      );
    }
  return blocks;
}

export function blockBounds(blocks: readonly Block[]): Bound[] {
  const most = blocks.reduce((worst, block) => (block.work > worst.work ? block : worst));
  return [
    {
      what: `The event loop works at most ${MOST_MS} ms for one message before it turns`,
      figure: `${most.work.toFixed(1)} ms (${most.message})`,
      met: most.work <= MOST_MS,
    },
  ];
}

export function blockTable(blocks: readonly Block[]): string {
  const shown = (ms: number): string => ms.toFixed(1).padStart(8);
  const rows = blocks.map(({ message, clock, work }) => `${shown(work)}  ${shown(clock)}  ${message}`);
  return ['    work     clock  in ms', ...rows].join('\n');
}

async function verbatim(transport: string, stack: AsyncDisposableStack): Promise<Entry> {
  const args = [path('fixtures/servers/verbatim.ts'), '--transport', transport];
  if (transport === 'stdio') return { command: process.execPath, args };
  const { url } = stack.use(await launch(args));
  return transport === 'sse' ? { url: url.href, type: 'sse' } : { url: url.href };
}

/** Asks the gateway for its longest pause since it was last asked. */
async function longest(socket: string): Promise<Pause> {
  const connection = createConnection(socket);
  let text = '';
  connection.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(connection, 'close');
  return JSON.parse(text) as Pause;
}

/** Calls a tool without arguments. Throws where the answer is another than the one that is measured. */
async function expecting(told: RegExp, gateway: Gateway, name: string): Promise<void> {
  const text = await post(gateway, name, '{}');
  if (!told.test(text)) throw new Error(`${name} was answered with ${text.slice(0, 300)}`);
}

/** Calls a tool; gives the beginning of the answer. */
async function post({ url }: Gateway, name: string, args: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': VERSION,
      'mcp-method': 'tools/call',
      'mcp-name': name,
    },
    body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":${args},"_meta":${JSON.stringify(META)}}}`,
  });
  return Buffer.from(await response.arrayBuffer()).toString('utf8', 0, 2_000);
}
