// `mcp-gateway stdio`: the gateway as the one MCP server that a client starts; joins a running one, or runs inside.
import { pipeline } from 'node:stream/promises';
import { StdioFront } from '../downstream/mcp/stdio.ts';
import { type Attached, attach, joinStdio } from './attach.ts';
import { EXIT } from './exit-codes.ts';
import { type Command, type Invocation } from './options.ts';
import { say } from './output.ts';
import { untilSignal } from './signals.ts';

export const stdio: Command = {
  usage: '',
  options: {},
  help: [],
  examples: [
    'mcp-gateway stdio',
    'claude mcp add gw -- /path/to/mcp-gateway/node_modules/.bin/node /path/to/mcp-gateway/dist/cli/bin.js stdio',
  ],
  positionals: 0,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const ended = untilSignal();
  const attached = await attach(invocation);
  const { inside } = attached;
  if (inside) process.on('SIGHUP', () => void inside.reload());
  const status = await Promise.race([ended, inside ? serveInside(attached) : relay(attached.socket)]);
  await attached.detach();
  process.stdin.destroy();
  return status;
}

async function serveInside({ inside }: Attached): Promise<number> {
  if (!inside) return EXIT.internal;
  await new StdioFront(inside.gateway, { input: process.stdin, output: process.stdout }).ended;
  return EXIT.ok;
}

/** Passes bytes both ways. The end of our input is the end of the session; the end of the owner is the end of us. */
async function relay(socket: string): Promise<number> {
  const stream = await joinStdio(socket);
  const input = { over: false };
  process.stdin.once('end', () => (input.over = true));
  const up = pipeline(process.stdin, stream).catch(() => undefined);
  const down = pipeline(stream, process.stdout, { end: false }).catch(() => undefined);
  await Promise.race([down, up.then(() => down)]);
  if (input.over) return EXIT.ok;
  say('mcp-gateway: the gateway that this process had joined has ended; start again.');
  return EXIT.unreachable;
}
