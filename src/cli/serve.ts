// `mcp-gateway serve`: the gateway over HTTP.
import { openLogger } from '../telemetry/logger.ts';
import type { Command, Invocation } from './options.ts';
import { print, printJson } from './output.ts';
import { Screen } from './screen.ts';
import { openServing, readServing } from './serving.ts';
import { openLog } from './setup.ts';
import { untilSignal } from './signals.ts';

export const serve: Command = {
  usage: '[--host HOST] [--port PORT]',
  options: { host: { type: 'string' }, port: { type: 'string' } },
  help: [
    ['--host HOST', 'address to bind, else listen.host; others than loopback want auth.tokens'],
    ['--port PORT', 'port to bind, else listen.port; 0 takes a free one'],
  ],
  examples: ({ typed }) => [`${typed} serve`, `${typed} serve --port 0 --json`],
  positionals: 0,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const options = readServing(invocation);
  const screen = screenOf(invocation);
  const logger = screen
    ? await openLogger('warn', (line) => screen.log(line))
    : await openLog(invocation, 'info', process.stderr.isTTY ? 'text' : 'json');
  const ended = untilSignal();
  const serving = await openServing({ ...options, logger, watcher: screen });
  const { gateway, url, urls, lost } = serving;
  if (screen) screen.begin(gateway, { url, needsToken: options.config.auth.tokens.length > 0 });
  else if (invocation.flags.json) printJson({ url, urls, pid: process.pid });
  else print(url);
  gateway.start();
  process.on('SIGHUP', () => void serving.reload());
  const end = await Promise.race([ended, lost]);
  screen?.end();
  const stopping = 'stopping: no new calls, those in flight may finish within 10 s';
  const stopped = serving.stop();
  if (screen) screen.tell(stopping);
  else logger.info(stopping);
  await stopped;
  if (typeof end !== 'number') throw end;
  return end;
}

/** Only on a terminal, and not where the user asked for a log level: then the log is shown instead. */
function screenOf({ flags, env }: Invocation): Screen | undefined {
  const isSeen = process.stdout.isTTY && process.stderr.isTTY && flags.json !== true;
  const level = flags['log-level'] ?? env.MCP_GATEWAY_LOG_LEVEL;
  return isSeen && level === undefined ? new Screen(process.stdout) : undefined;
}
