// What foreign servers are tried with: features of the matrix, cut finer where an SDK may have one part and not the other.
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { completion } from '../../integration/matrix/calls.ts';
import type { MatrixClient } from '../../integration/matrix/client.ts';
import type { Feature } from '../../integration/matrix/features.ts';
import { cancel, progress } from '../../integration/matrix/notifications.ts';
import { elicitation, roots, sampling } from '../../integration/matrix/questions.ts';

const list: Feature = async ({ sdk }, { exposed, uri }) => {
  const { tools } = await sdk.listTools();
  const { resources } = await sdk.listResources();
  const { resourceTemplates } = await sdk.listResourceTemplates();
  const { prompts } = await sdk.listPrompts();

  expect(tools.find(({ name }) => name === exposed('echo'))).toMatchObject({ annotations: { readOnlyHint: true } });
  expect(tools.find(({ name }) => name === exposed('add'))?.outputSchema).toMatchObject({ type: 'object' });
  expect(resources.map((resource) => resource.uri)).toEqual(expect.arrayContaining([uri('text'), uri('bytes')]));
  expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(uri('item/{id}'));
  expect(prompts.map(({ name }) => name)).toEqual(expect.arrayContaining([exposed('plain'), exposed('greet')]));
};

const echo: Feature = async (client, { exposed }) => {
  for (const text of ['ä\n\u2028 "quoted" 漢字', 'ä"\\\n'.repeat(64 * 1024)]) {
    expect((await client.call(exposed('echo'), { text })).content).toMatchObject([{ type: 'text', text }]);
  }
};

const structured: Feature = async (client, { exposed }) => {
  expect((await client.call(exposed('add'), { a: 2, b: 3 })).structuredContent).toEqual({ sum: 5 });
};

const errors: Feature = async (client, { exposed }) => {
  const failed = await client.call(exposed('fail'));
  expect(failed).toMatchObject({ isError: true });
  expect(JSON.stringify(failed.content)).toContain('failed as asked');
};

const resource: Feature = async ({ sdk }, { uri }) => {
  expect((await sdk.readResource({ uri: uri('text') })).contents[0]).toMatchObject({ text: 'a text' });
  const [bytes] = (await sdk.readResource({ uri: uri('bytes') })).contents;
  const read = Buffer.from(bytes && 'blob' in bytes ? bytes.blob : '', 'base64');
  expect([...read]).toEqual(Array.from({ length: 256 }, (_, index) => index));
};

const template: Feature = async ({ sdk }, { uri }) => {
  expect((await sdk.readResource({ uri: uri('item/7') })).contents[0]).toMatchObject({ text: 'item 7' });
};

const prompt: Feature = async ({ sdk }, { exposed }) => {
  const { messages } = await sdk.getPrompt({ name: exposed('greet'), arguments: { who: 'Ann', language: 'estonian' } });
  expect(messages[0]?.content).toMatchObject({ type: 'text', text: 'Greet Ann in estonian.' });
};

const LOGGED = 'notifications/message';
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Makes the server log a line of every level, waits for these, in whatever order they come, and gives all that came. */
async function linesOf(client: MatrixClient, tool: string, wanted: readonly string[]): Promise<string[]> {
  const label = randomUUID();
  await client.call(tool, { label });
  const isOf = (level: string) => (line: JsonObject) => JSON.stringify(line).includes(`${label} ${level}`);
  for (const level of wanted) await client.heard.next(LOGGED, isOf(level));
  return LEVELS.filter((level) => wanted.includes(level) || client.heard.left(LOGGED).some(isOf(level)));
}

/** Lines of `info` and worse come, also where the server lets no client choose the level. Until a client sets one, the gateway passes no others. */
const logLines: Feature = async (client, { exposed }) => {
  await client.setLogLevel('debug').catch(() => undefined);

  await linesOf(client, exposed('log_lines'), LEVELS.slice(1));
};

const logLevel: Feature = async (client, { exposed }) => {
  const severe = LEVELS.slice(4);
  await client.setLogLevel('error');
  expect(await linesOf(client, exposed('log_lines'), severe)).toEqual(severe);
  await client.setLogLevel('debug');
  await linesOf(client, exposed('log_lines'), LEVELS);
};

/** By the heading of its column, in the order in which they are tried. */
export const FEATURES: Readonly<Record<string, Feature>> = {
  list,
  echo,
  structured,
  errors,
  progress,
  elicitation,
  sampling,
  roots,
  resource,
  template,
  prompt,
  completion,
  'log lines': logLines,
  'log level': logLevel,
  cancel, // last, because calls stay open where it does not work
};
