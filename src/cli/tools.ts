// `mcp-gateway tools list|call`: the offer as a client sees it, through the same endpoint and pipeline as everyone.
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { encodeHeaderValue } from '../protocol/mcp/header-values.ts';
import { META } from '../protocol/mcp/meta.ts';
import { MODERN_VERSION } from '../protocol/mcp/versions.ts';
import { mirrorArguments, readMirroredParams } from '../protocol/mcp/param-headers.ts';
import { didYouMean } from '../config/problems.ts';
import { ask, type ControlSocket, withGateway } from './attach.ts';
import { EXIT, ExitError, exitOfCode, UsageError } from './exit-codes.ts';
import { type Command, text } from './options.ts';
import { print, printable, printJson, table } from './output.ts';
import { VERSION } from './version.ts';

export const toolsList: Command = {
  usage: '',
  options: {},
  help: [],
  examples: ['mcp-gateway tools list', 'mcp-gateway tools list --json | jq -r .[].name'],
  positionals: 0,
  run: (invocation) =>
    withGateway(invocation, async (way) => {
      const tools = await listTools(way);
      if (invocation.flags.json) printJson(tools);
      else
        print(
          tools.length === 0
            ? 'No tools are offered. `mcp-gateway servers` shows why.'
            : table(['TOOL', 'DESCRIPTION'], tools.map(rowOf)),
        );
      return EXIT.ok;
    }),
};

export const toolsCall: Command = {
  usage: 'NAME [--args \'{"key": "value"}\']',
  options: { args: { type: 'string' } },
  help: [['--args JSON', 'the arguments, a JSON object']],
  examples: ['mcp-gateway tools call everything__echo --args \'{"message": "hello"}\''],
  positionals: 1,
  run: (invocation) => {
    const [name] = invocation.positionals;
    if (name === undefined) throw new UsageError('say which tool. `mcp-gateway tools list` names them.');
    const args = readArgs(text(invocation.flags, 'args') ?? '{}');
    return withGateway(invocation, (way) => call(way, { name, args, json: invocation.flags.json === true }));
  },
};

/** The way to the gateway, and what ends waiting for it. */
interface Way {
  readonly socket: ControlSocket;
  readonly signal: AbortSignal;
}

async function listTools(way: Way): Promise<JsonObject[]> {
  const tools: JsonObject[] = [];
  let cursor: JsonValue | undefined;
  do {
    const page = await send(way, { method: 'tools/list', params: cursor === undefined ? {} : { cursor } });
    if (Array.isArray(page.tools)) tools.push(...page.tools.filter(isObject));
    cursor = page.nextCursor;
  } while (typeof cursor === 'string');
  return tools;
}

async function call(
  way: Way,
  { name, args, json }: { name: string; args: JsonObject; json: boolean },
): Promise<number> {
  const tools = await listTools(way);
  const tool = tools.find((one) => one.name === name);
  const mirrored = readMirroredParams(tool?.inputSchema);
  const headers = mirrored.ok ? mirrorArguments(mirrored.params, args) : {};
  const result = await send(way, {
    method: 'tools/call',
    params: { name, arguments: args },
    headers: { 'mcp-name': encodeHeaderValue(name), ...headers },
  }).catch((error: unknown) => {
    throw withHint(error, didYouMean(name, tools.map(nameOf)));
  });
  if (json) printJson(result);
  else print(textOf(result));
  return result.isError === true ? EXIT.toolFailed : EXIT.ok;
}

async function send(
  way: Way,
  { method, params, headers }: { method: string; params: JsonObject; headers?: Record<string, string> },
): Promise<JsonObject> {
  const meta = {
    [META.version]: MODERN_VERSION,
    [META.clientInfo]: { name: 'mcp-gateway-cli', version: VERSION },
    [META.clientCapabilities]: {},
  };
  const { text: body } = await ask(way.socket, {
    signal: way.signal,
    path: '/mcp',
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'mcp-protocol-version': MODERN_VERSION,
      'mcp-method': method,
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  });
  const answer: unknown = JSON.parse(body);
  if (isObject(answer) && isObject(answer.result)) return answer.result;
  throw failureOf(isObject(answer) ? answer.error : undefined);
}

function withHint(error: unknown, hint: string): unknown {
  const unknown = error instanceof ExitError && error.status === EXIT.notFound;
  return unknown ? new ExitError(error.status, error.message + hint) : error;
}

/** A server behind the gateway that refuses our credentials, or what they may do. */
const EXIT_BY_UPSTREAM_STATUS: ReadonlyMap<unknown, number> = new Map([
  [401, EXIT.auth],
  [407, EXIT.auth],
  [403, EXIT.denied],
]);

function failureOf(error: JsonValue | undefined): ExitError {
  const { message, code, data } = isObject(error) ? error : {};
  const reason = isObject(data) && typeof data.reason === 'string' ? data.reason : '';
  const unknownName = code === -32602 && reason === '' && typeof message === 'string' && message.startsWith('Unknown ');
  const upstreamStatus = isObject(data) ? data.status : undefined;
  const status = unknownName
    ? EXIT.notFound
    : (EXIT_BY_UPSTREAM_STATUS.get(upstreamStatus) ?? (reason === '' ? EXIT.toolFailed : exitOfCode(reason)));
  return new ExitError(status, printable(typeof message === 'string' ? message : 'the gateway gave no answer'));
}

function readArgs(json: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new UsageError(`--args is not JSON: ${json.slice(0, 100)}`);
  }
  if (!isObject(value)) throw new UsageError('--args must be a JSON object, like \'{"key": "value"}\'.');
  return value;
}

function rowOf(tool: JsonObject): string[] {
  const description = typeof tool.description === 'string' ? (tool.description.split('\n', 1)[0] ?? '') : '';
  return [nameOf(tool), description.length > 100 ? `${description.slice(0, 99)}…` : description];
}

function nameOf(tool: JsonObject): string {
  return typeof tool.name === 'string' ? tool.name : '';
}

/** A result for a person: text as it is, everything else by what it is. */
function textOf(result: JsonObject): string {
  const blocks = Array.isArray(result.content) ? result.content.filter(isObject) : [];
  const shown = blocks.map((block) => {
    if (block.type === 'text' && typeof block.text === 'string') return block.text;
    if (typeof block.data === 'string')
      return `[${JSON.stringify(block.type)} ${JSON.stringify(block.mimeType)}, ${Math.floor((block.data.length * 3) / 4)} bytes]`;
    return JSON.stringify(block.resource ?? block);
  });
  if (shown.length === 0 && result.structuredContent !== undefined)
    shown.push(JSON.stringify(result.structuredContent));
  return printable(shown.join('\n'));
}
