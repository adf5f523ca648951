// `mcp-gateway serve`: the gateway over HTTP.
import { openLogger } from '../telemetry/logger.ts';
import type { Command, Invocation } from './options.ts';
import { print, printJson } from './output.ts';
import { openLog } from './run-gateway.ts';
import type { Screen } from './screen.ts';
import { openServing, readServing } from './serving.ts';
import { untilSignal } from './signals.ts';

export const serve: Command = {
  usage: '[--host HOST] [--port PORT]',
  options: { host: { type: 'string' }, port: { type: 'string' } },
  help: [
    ['--host HOST', 'address to bind, else listen.host; others than loopback want auth.tokens'],
    ['--port PORT', 'port to bind, else listen.port; 0 takes a free one'],
  ],
  examples: ({ typed }) => [`${typed} serve`, `${typed} serve --port 0 --json`],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const options = readServing(invocation);
  const screen = await openScreen(invocation);
  const logger = screen
    ? await openLogger('warn', (line) => screen.log(line))
    : await openLog(invocation, 'info', process.stderr.isTTY ? 'text' : 'json');
  const signalled = untilSignal();
  const serving = await openServing({ ...options, logger, watcher: screen });
  const { gateway, url, urls, lost } = serving;
  if (screen) screen.begin(gateway, { url, needsToken: options.config.auth.tokens.length > 0 });
  else if (invocation.flags.json) printJson({ url, urls, pid: process.pid });
  else print(url);
  gateway.start();
  process.on('SIGHUP', () => void serving.reload());
  const status = await Promise.race([signalled, lost]);
  screen?.end();
  const stopping = 'stopping: no new calls, those in flight may finish within 10 s';
  const stopped = serving.stop();
  if (screen) screen.show(stopping);
  else logger.info(stopping);
  await stopped;
  if (typeof status !== 'number') throw status;
  return status;
}

/** Opens the screen on a terminal, unless the user set a log level and so gets the log. */
async function openScreen({ flags, env }: Invocation): Promise<Screen | undefined> {
  const isTerminal = process.stdout.isTTY && process.stderr.isTTY && flags.json !== true;
  const level = flags['log-level'] ?? env.MCP_GATEWAY_LOG_LEVEL;
  if (!isTerminal || level !== undefined) return undefined;
  const { Screen } = await import('./screen.ts'); // loaded only if it is shown
  return new Screen(process.stdout);
}
