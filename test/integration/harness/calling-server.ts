// A stdio server that calls a gateway itself, in the way that it is told: its tools run a script in a new process and give its output back.
import { spawn } from 'node:child_process';
import { text as textOf } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import type { JsonObject } from '../../../src/core/json.ts';

const send = (message: JsonObject) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

const TOOL = { name: 'run', inputSchema: { type: 'object' } };

async function run(args: JsonObject): Promise<string> {
  const words = args.argv as string[];
  const [file = '', ...rest] = words;
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  return out + err;
}

async function answer({ id, method, params }: JsonObject): Promise<void> {
  if (id === undefined) return;
  const given = params as JsonObject;
  if (method === 'initialize')
    send({
      id,
      result: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'calling', version: '1' },
      },
    });
  else if (method === 'tools/list') send({ id, result: { tools: [TOOL] } });
  else if (method === 'tools/call')
    send({ id, result: { content: [{ type: 'text', text: await run(given.arguments as JsonObject) }] } });
  else send({ id, error: { code: -32601, message: 'no such method' } });
}

createInterface(process.stdin).on('line', (line) => void answer(JSON.parse(line) as JsonObject));
