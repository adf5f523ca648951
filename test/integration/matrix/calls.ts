// Features of plain requests: lists, calls, prompts, resources, completions, and how things fail.
import { expect } from 'vitest';
import type { Feature } from './features.ts';

export const list: Feature = async ({ sdk }, { exposed, uri }) => {
  const { tools } = await sdk.listTools();
  const { resources } = await sdk.listResources();
  const { resourceTemplates } = await sdk.listResourceTemplates();
  const { prompts } = await sdk.listPrompts();

  const echo = tools.find(({ name }) => name === exposed('echo'));
  expect(echo).toMatchObject({ annotations: { readOnlyHint: true }, _meta: { 'com.example/kept': 'as it is' } });
  expect(tools.find(({ name }) => name === exposed('add'))?.outputSchema).toMatchObject({ type: 'object' });
  expect(resources.map((resource) => resource.uri)).toEqual(expect.arrayContaining([uri('text'), uri('bytes')]));
  expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(uri('item/{id}'));
  expect(prompts.map(({ name }) => name)).toEqual(expect.arrayContaining([exposed('plain'), exposed('greet')]));
};

export const plainCall: Feature = async (client, { exposed, uri }) => {
  const text = 'ä\n\u2028 "quoted" 漢字';

  expect((await client.call(exposed('echo'), { text })).content).toEqual([{ type: 'text', text }]);
  expect((await client.call(exposed('add'), { a: 2, b: 3 })).structuredContent).toEqual({ sum: 5 });
  expect((await client.sdk.readResource({ uri: uri('item/7') })).contents[0]).toMatchObject({ text: 'item 7' });
  const { messages } = await client.sdk.getPrompt({ name: exposed('greet'), arguments: { who: 'Ann' } });
  expect(messages[0]?.content).toEqual({ type: 'text', text: 'Greet Ann in english.' });
};

export const completion: Feature = async ({ sdk }, { exposed, uri }) => {
  const ref = { type: 'ref/prompt' as const, name: exposed('greet') };
  const argument = { name: 'language', value: 'e' };
  const template = { type: 'ref/resource' as const, uri: uri('item/{id}') };

  const all = await sdk.complete({ ref, argument });
  const known = await sdk.complete({ ref, argument, context: { arguments: { who: 'Ants' } } });
  const items = await sdk.complete({ ref: template, argument: { name: 'id', value: '1' } });

  expect(all.completion.values).toEqual(['english', 'estonian']);
  expect(known.completion.values).toEqual(['estonian']);
  expect(items.completion.values).toEqual(['1', '10']);
};

/** Before 2026-07-28 a missing resource has a code of its own, which newer servers no longer give. */
const NOT_FOUND = [-32002, -32602];

export const errors: Feature = async (client, { exposed, uri }) => {
  const failed = await client.call(exposed('fail'));
  const thrown: unknown = await client.call(exposed('throw'), { code: -32000 }).catch((error: unknown) => error);
  const unknown: unknown = await client.call(exposed('absent')).catch((error: unknown) => error);
  const missing: unknown = await client.sdk.readResource({ uri: uri('absent') }).catch((error: unknown) => error);

  expect(failed).toMatchObject({ isError: true, content: [{ type: 'text', text: 'failed as asked' }] });
  expect(thrown).toMatchObject({ code: -32000 });
  expect(String(thrown)).toContain('thrown as asked');
  expect(unknown).toMatchObject({ code: -32602 });
  expect(NOT_FOUND).toContain((missing as { code?: number }).code);
};
