// Features of a server that asks its client while a call runs.
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { MatrixClient } from './client.ts';
import type { Feature } from './features.ts';

/** Calls a tool that asks; gives what the server was answered. */
async function answered(client: MatrixClient, tool: string, label: string): Promise<unknown> {
  const { content } = await client.call(tool, { label });
  const [block] = content;
  return JSON.parse(block?.type === 'text' ? block.text : 'null') as unknown;
}

export const elicitation: Feature = async (client, { exposed }) => {
  const label = randomUUID();

  expect(await answered(client, exposed('ask_form'), label)).toMatchObject({
    action: 'accept',
    content: { color: `red ${label}` },
  });
  expect(await answered(client, exposed('ask_form'), `decline ${label}`)).toMatchObject({ action: 'decline' });
};

export const sampling: Feature = async (client, { exposed }) => {
  const label = randomUUID();

  expect(await answered(client, exposed('ask_sampling'), label)).toMatchObject({
    role: 'assistant',
    content: { type: 'text', text: `sampled ${label}` },
  });
};

export const roots: Feature = async (client, { exposed }) => {
  for (const root of ['file:///one', 'file:///two']) {
    client.root = root;
    if (!client.modern) await client.sdk.notification({ method: 'notifications/roots/list_changed' });
    expect(await answered(client, exposed('ask_roots'), '')).toMatchObject({ roots: [{ uri: root, name: 'root' }] });
  }
};
