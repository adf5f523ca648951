// Content blocks as clients of each revision know them.
import { expect, test } from 'vitest';
import { contentFor, samplingMessagesFor } from '../../../src/protocol/mcp/content.ts';
import { LEGACY_VERSIONS } from '../../../src/protocol/mcp/vocabulary.ts';

const DATA = Buffer.from('12345').toString('base64');
const text = { type: 'text', text: 'hi' };
const image = { type: 'image', data: DATA, mimeType: 'image/png' };
const resource = { type: 'resource', resource: { uri: 'x://1', text: 'one' } };
const audio = { type: 'audio', data: DATA, mimeType: 'audio/wav' };
const link = { type: 'resource_link', uri: 'x://1', name: 'one', mimeType: 'text/plain', size: 7 };
const video = { type: 'video', data: DATA, mimeType: 'video/mp4', uri: 'x://film' };
const odd = { kind: 'odd' };

const words = (said: string) => ({ type: 'text', text: said });
const AUDIO = words('[audio: audio/wav, 5 bytes]');
const LINK = words('[resource_link: one, x://1, text/plain, 7 bytes]');
const VIDEO = words('[video: x://film, video/mp4, 5 bytes]');
const ODD = words('[content without a type]');

test.each([
  ['2024-11-05', [text, image, resource, AUDIO, LINK, VIDEO, ODD]],
  ['2025-03-26', [text, image, resource, audio, LINK, VIDEO, ODD]],
  ['2025-06-18', [text, image, resource, audio, link, VIDEO, ODD]],
  ['2025-11-25', [text, image, resource, audio, link, VIDEO, ODD]],
])('what a client of %s does not know becomes text, in results and in prompts', (revision, known) => {
  const content = [text, image, resource, audio, link, video, odd];
  const messages = content.map((block) => ({ role: 'user', content: block }));

  expect(contentFor({ content, isError: false }, revision)).toEqual({ content: known, isError: false });
  expect(contentFor({ messages }, revision)).toEqual({
    messages: known.map((block) => ({ role: 'user', content: block })),
  });
});

test('what a client knows all of is the very same object', () => {
  const result = { content: [text, image, resource], structuredContent: {} };

  for (const revision of LEGACY_VERSIONS) expect(contentFor(result, revision)).toBe(result);
});

test('no more of a block is told than a line', () => {
  const long = { type: 'v'.repeat(10_000), uri: 'u'.repeat(10_000), data: 'd'.repeat(1_000_000) };
  const [block] = contentFor({ content: [long] }, '2025-11-25').content as { text: string }[];

  expect(block?.text.length).toBeLessThan(2_200);
  expect(block?.text).not.toContain('ddd');
});

test('the messages of a question for a model are known to its client, one block each where it takes no more', () => {
  const use = { type: 'tool_use', id: '1', name: 'search', input: {} };
  const got = { type: 'tool_result', toolUseId: '1', content: [text, video] };
  const messages = [
    { role: 'user', content: audio },
    { role: 'assistant', content: [text, use] },
    { role: 'user', content: [got] },
  ];

  expect(samplingMessagesFor(messages, '2024-11-05')).toEqual([
    { role: 'user', content: AUDIO },
    { role: 'assistant', content: text },
    { role: 'assistant', content: words('[tool_use: search]') },
    { role: 'user', content: words('[tool_result]') },
  ]);
  expect(samplingMessagesFor(messages, '2025-11-25')).toEqual([
    { role: 'user', content: audio },
    { role: 'assistant', content: [text, use] },
    { role: 'user', content: [{ ...got, content: [text, VIDEO] }] },
  ]);
});
