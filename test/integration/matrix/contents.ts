// Features of what is carried: much of it, and bytes that must not change.
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Feature } from './features.ts';

/** Of the red pixel that the fixture servers show. */
const PIXEL_SHA256 = 'c414cd0e204de974f73753c7e28d7638e7b3691bb8b1a2bab6b25bb7fed7ce77';

/** A blob of so many bytes from the server, and a text of about a third of them there and back. */
export const carrying =
  (size: number): Feature =>
  async (client, { exposed }) => {
    const text = 'ä"\\\n'.repeat(size / 16);

    const { content } = await client.call(exposed('blob'), { bytes: size });
    const echoed = await client.call(exposed('echo'), { text });

    const [block, hash] = content;
    const bytes = Buffer.from(
      block?.type === 'resource' && 'blob' in block.resource ? block.resource.blob : '',
      'base64',
    );
    expect(bytes.length).toBe(size);
    expect(hash).toEqual({ type: 'text', text: createHash('sha256').update(bytes).digest('hex') });
    expect(echoed.content[0]?.type === 'text' && echoed.content[0].text === text).toBe(true);
  };

/** More than a pipe or a socket takes at once; `test:long` carries more. */
export const large = carrying(256 * 1024);

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
