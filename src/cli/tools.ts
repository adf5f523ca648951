// `mcp-gateway tools list|call`: lists and calls tools as a client does, through the same endpoint and pipeline.
import { explainDecision } from '../core/decision.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { META, MODERN_VERSION } from '../protocol/mcp/vocabulary.ts';
import { encodeHeaderValue, mirrorArguments, readMirroredParams } from '../protocol/mcp/param-headers.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';
import { didYouMean } from '../config/problems.ts';
import type { ToolExplanation } from '../gateway/operator-view.ts';
import { ask, type Reached, withGateway } from './control-client.ts';
import { EXIT, ExitError, exitOfCode, UsageError } from './exit-codes.ts';
import { type Command, text } from './options.ts';
import { oneLine, print, printable, printJson } from './output.ts';
import { hint } from './program.ts';
import { cut, table } from './table.ts';
import { readToolArguments } from './tool-arguments.ts';
import { VERSION } from './version.ts';

export const toolsList: Command = {
  examples: ({ typed }) => [`${typed} tools list`, `${typed} tools list --json | jq -r .[].name`],
  run: (invocation) =>
    withGateway(invocation, async (gateway) => {
      const tools = await listTools(gateway);
      if (invocation.flags.json) printJson(tools);
      else
        print(
          tools.length === 0
            ? `No tools are offered. \`${hint('servers')}\` shows why.`
            : table(['TOOL', 'DESCRIPTION'], tools.map(rowOf)),
        );
      return EXIT.ok;
    }),
};

export const toolsCall: Command = {
  usage: 'NAME [--args \'{"key": "value"}\']',
  options: { args: { type: 'string' } },
  help: [['--args JSON', 'the arguments, a JSON object']],
  examples: ({ typed }) => [`${typed} tools call everything__echo --args '{"message": "hello"}'`],
  positionals: 1,
  run: async (invocation) => {
    const [name] = invocation.positionals;
    if (name === undefined) throw new UsageError(`say which tool. \`${hint('tools list')}\` names them.`);
    const args = await readToolArguments(text(invocation.flags, 'args') ?? '{}');
    const json = invocation.flags.json === true;
    return withGateway(invocation, (gateway) => call(gateway, { name, args, json }));
  },
};

async function listTools(gateway: Reached): Promise<JsonObject[]> {
  const tools: JsonObject[] = [];
  let cursor: JsonValue | undefined;
  do {
    const page = await send(gateway, { method: 'tools/list', params: cursor === undefined ? {} : { cursor } });
    if (Array.isArray(page.tools)) tools.push(...page.tools.filter(isObject));
    cursor = page.nextCursor;
  } while (typeof cursor === 'string');
  return tools;
}

async function call(
  gateway: Reached,
  { name, args, json }: { name: string; args: JsonObject; json: boolean },
): Promise<number> {
  const offered = (tools: readonly JsonObject[]) => tools.find((one) => one.name === name);
  let tools = await listTools(gateway);
  if (!offered(tools)) {
    // its server may start more slowly than lists wait
    await gateway.attempted();
    tools = await listTools(gateway);
  }
  const tool = offered(tools);
  const mirrored = readMirroredParams(tool?.inputSchema);
  const headers = mirrored.ok ? mirrorArguments(mirrored.params, args) : {};
  const result = await send(gateway, {
    method: 'tools/call',
    params: { name, arguments: args },
    headers: { 'mcp-name': encodeHeaderValue(name), ...headers },
  }).catch(async (error: unknown) => {
    const unknown = error instanceof ExitError && error.status === EXIT.notFound;
    throw unknown ? await explained(gateway, { name, unknown: error, offered: tools.map(nameOf) }) : error;
  });
  if (json) printJson(result);
  else print(textOf(result));
  return result.isError === true ? EXIT.toolFailed : EXIT.ok;
}

/** How to parse the gateway's answers, which it has bounded itself. Numbers keep their text. */
const ANSWER = { depth: Infinity, uniqueKeys: false };

async function send(
  { socket, signal }: Reached,
  { method, params, headers }: { method: string; params: JsonObject; headers?: Record<string, string> },
): Promise<JsonObject> {
  const meta = {
    [META.version]: MODERN_VERSION,
    [META.clientInfo]: { name: 'mcp-gateway-cli', version: VERSION },
    [META.clientCapabilities]: {},
  };
  const { text: body } = await ask(socket, {
    signal,
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
  const answer = parseStrict(body, ANSWER);
  if (isObject(answer) && isObject(answer.result)) return answer.result;
  throw failureOf(isObject(answer) ? answer.error : undefined);
}

/** Replaces the error for an unknown tool: if a pattern denies the tool, the operator sees which one; callers do not. */
async function explained(
  { socket, signal }: Reached,
  { name, unknown, offered }: { name: string; unknown: ExitError; offered: readonly string[] },
): Promise<ExitError> {
  const { text: body } = await ask(socket, { path: `/api/tools/${encodeURIComponent(name)}`, signal });
  const { verdict, server, original, decision } = JSON.parse(body) as ToolExplanation;
  if (verdict !== 'denied' || !decision)
    return new ExitError(unknown.status, unknown.message + didYouMean(name, offered));
  return new ExitError(
    EXIT.denied,
    printable(
      `the tool ${JSON.stringify(name)} (${JSON.stringify(original)} of the server ${JSON.stringify(server)}) is denied by ${explainDecision(decision)}. ` +
        `Other callers are told that it does not exist.`,
    ),
  );
}

/** Exit statuses for a server that refuses the gateway's credentials, or what they allow. */
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

const DESCRIPTION_WIDTH = 100;

/** The name and the first line of the description that is not blank, else the title. */
function rowOf(tool: JsonObject): string[] {
  const { description, title, annotations } = tool;
  const titled = isObject(annotations) ? annotations.title : undefined;
  const [words = ''] = [description, title, titled].flatMap((text) =>
    typeof text === 'string' ? (/\S.*/u.exec(text)?.[0].trimEnd() ?? []) : [],
  );
  return [nameOf(tool), cut(oneLine(words), DESCRIPTION_WIDTH)];
}

function nameOf(tool: JsonObject): string {
  return typeof tool.name === 'string' ? tool.name : '';
}

/** A result for a person: text blocks as text, binary ones by type and size, others as JSON. */
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
