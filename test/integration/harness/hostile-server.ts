// A stdio server whose every word tries to steer a terminal; started as a process by the tests of the command line.
import { createInterface } from 'node:readline';

const HOSTILE =
  '\u001b[31mred\u001b]8;;http://evil\u0007link\u001b]8;;\u0007\u202ereversed\u2066\u009b31m\u200b\r\nFAKE\u2028line\u{e0041}\u007f';

interface Message {
  readonly id?: number;
  readonly method: string;
  readonly params?: { readonly name?: string };
}

const text = [{ type: 'text', text: HOSTILE }];
const tool = (name: string) => ({ name, description: HOSTILE, inputSchema: { type: 'object' } });

const ANSWERS: Readonly<Record<string, object>> = {
  initialize: {
    result: {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: HOSTILE, version: HOSTILE },
    },
  },
  'tools/list': { result: { tools: [tool(`odd${HOSTILE}`), tool('ok'), tool('fail'), tool('refuse')] } },
  ok: { result: { content: text } },
  fail: { result: { content: text, isError: true } },
  refuse: { error: { code: -32000, message: HOSTILE } },
};

process.stderr.write(`${HOSTILE}\n`);
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line) as Message;
  if (id === undefined) return;
  const answer = ANSWERS[params?.name ?? method] ?? ANSWERS[method] ?? { error: { code: -32601, message: HOSTILE } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer })}\n`);
});
