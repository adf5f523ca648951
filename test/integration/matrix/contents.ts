// Features of what is carried: much of it, and bytes that must not change.
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Feature } from './features.ts';

const LARGE = 3 * 1024 * 1024;
/** Of the red pixel that the fixture servers show. */
const PIXEL_SHA256 = 'c414cd0e204de974f73753c7e28d7638e7b3691bb8b1a2bab6b25bb7fed7ce77';

export const large: Feature = async (client, { exposed }) => {
  const text = 'ä"\\\n'.repeat(100_000);

  const { content } = await client.call(exposed('blob'), { bytes: LARGE });
  const echoed = await client.call(exposed('echo'), { text });

  const [block, hash] = content;
  const bytes = Buffer.from(
    block?.type === 'resource' && 'blob' in block.resource ? block.resource.blob : '',
    'base64',
  );
  expect(bytes.length).toBe(LARGE);
  expect(hash).toEqual({ type: 'text', text: createHash('sha256').update(bytes).digest('hex') });
  expect(echoed.content[0]?.type === 'text' && echoed.content[0].text === text).toBe(true);
};

export const binary: Feature = async (client, { exposed, uri }) => {
  const { content } = await client.call(exposed('image'));
  const { contents } = await client.sdk.readResource({ uri: uri('bytes') });

  const [image] = content;
  expect(image).toMatchObject({ type: 'image', mimeType: 'image/png' });
  const data = Buffer.from(image?.type === 'image' ? image.data : '', 'base64');
  expect(createHash('sha256').update(data).digest('hex')).toBe(PIXEL_SHA256);
  const [resource] = contents;
  const bytes = Buffer.from(resource && 'blob' in resource ? resource.blob : '', 'base64');
  expect([...bytes]).toEqual(Array.from({ length: 256 }, (_, index) => index));
};
