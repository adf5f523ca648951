// What the driver does in each scenario for clients: calls what the suite's server offers and looks at what comes back.
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import { isObject, type JsonObject } from '../../src/core/json.ts';

const textOf = ({ content }: CallToolResult): string => content.map((one) => ('text' in one ? one.text : '')).join('');

async function call(client: Client, name: string, given: JsonObject = {}): Promise<string> {
  const result = await client.callTool({ name, arguments: given });
  ok(result.isError !== true, `${name} failed: ${textOf(result)}`);
  return textOf(result);
}

async function toolNames(client: Client): Promise<string[]> {
  return (await client.listTools()).tools.map(({ name }) => name);
}

/** The gateway has met the server by now, which is all that the suite looks at. */
function connected(client: Client): Promise<void> {
  ok(client.getServerCapabilities(), 'the gateway declared nothing');
  return Promise.resolve();
}

async function add(client: Client): Promise<void> {
  deepStrictEqual(await toolNames(client), ['add_numbers']);
  strictEqual(await call(client, 'add_numbers', { a: 2, b: 3 }), 'The sum of 2 and 3 is 5');
}

/** Accepts a form with the defaults that its schema names, as a person does who presses the button at once. */
async function acceptDefaults(client: Client): Promise<void> {
  client.setRequestHandler('elicitation/create', ({ params }) => {
    const { properties = {} } = 'requestedSchema' in params ? params.requestedSchema : {};
    const defaults = Object.entries(properties).filter(([, one]) => isObject(one) && one.default !== undefined);
    return {
      action: 'accept',
      content: Object.fromEntries(defaults.map(([name, one]) => [name, one.default])) as never,
    };
  });
  await toolNames(client);
  await call(client, 'test_client_elicitation_defaults');
}

async function waitForPoll(client: Client): Promise<void> {
  await toolNames(client);
  strictEqual(await call(client, 'test_reconnection'), 'Reconnection test completed successfully');
}

/** Returns the schema that it was given, so that the suite sees what the way through the gateway made of it. */
async function echoSchema(client: Client): Promise<void> {
  const { tools } = await client.listTools();
  const focal = tools.find(({ name }) => name === 'json_schema_2020_12_tool');
  ok(focal, 'json_schema_2020_12_tool is not listed');
  strictEqual(await call(client, 'json_schema_echo', { schema: focal.inputSchema as JsonObject }), 'echoed');
}

/** Calls something else while a call has a question open, so that the suite sees whether answers or state get mixed up. */
async function answerInRounds(client: Client): Promise<void> {
  const unrelated: Promise<string>[] = [];
  client.setRequestHandler('elicitation/create', async () => {
    const beside = call(client, 'test_mrtr_unrelated');
    unrelated.push(beside);
    await beside;
    return { action: 'accept', content: { confirmed: true } };
  });
  await toolNames(client);
  strictEqual(await call(client, 'test_mrtr_echo_state'), 'echo-state-ok');
  strictEqual(await call(client, 'test_mrtr_no_state'), 'no-state-ok');
  strictEqual(await call(client, 'test_mrtr_no_result_type'), 'no-result-type-test-ok');
  deepStrictEqual(await Promise.all(unrelated), ['unrelated-ok', 'unrelated-ok']);
}

async function useEverything(client: Client): Promise<void> {
  for (const name of await toolNames(client)) await call(client, name);
  for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
  for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
}

/** Makes the calls that the suite wants to see, with values that need every encoding. */
async function sendParameters(client: Client): Promise<void> {
  await toolNames(client);
  const { toolCalls } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as {
    readonly toolCalls: readonly { readonly name: string; readonly arguments: JsonObject }[];
  };
  for (const { name, arguments: given } of toolCalls) await call(client, name, given);
}

const INVALID = [
  'invalid_empty_header',
  'invalid_object_header',
  'invalid_array_header',
  'invalid_null_header',
  'invalid_duplicate_same_case',
  'invalid_duplicate_diff_case',
  'invalid_space_in_name',
  'invalid_colon_in_name',
  'invalid_non_ascii_name',
  'invalid_control_char_name',
];

/** Calls the tools that the gateway drops as well, because one that is not listed must not be reached by its name either. */
async function tryInvalid(client: Client): Promise<void> {
  deepStrictEqual(await toolNames(client), ['valid_tool']);
  await call(client, 'valid_tool', { region: 'us-west1' });
  for (const name of INVALID) await rejects(client.callTool({ name, arguments: { value: 'x' } }), name);
}

async function listOnly(client: Client): Promise<void> {
  deepStrictEqual(await toolNames(client), ['lookup_user']);
}

/** By the suite's names; each throws when what came back through the gateway is not what the server gave. */
export const CLIENT_SCENARIOS: Readonly<Record<string, (client: Client) => Promise<void>>> = {
  initialize: connected,
  'request-metadata': connected,
  tools_call: add,
  'elicitation-sep1034-client-defaults': acceptDefaults,
  'sse-retry': waitForPoll,
  'json-schema-2020-12-preservation': echoSchema,
  'json-schema-ref-no-deref': listOnly,
  'sep-2322-client-request-state': answerInRounds,
  'http-standard-headers': useEverything,
  'http-custom-headers': sendParameters,
  'http-invalid-tool-headers': tryInvalid,
};
