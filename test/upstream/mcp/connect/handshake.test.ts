// What the gateway keeps of a handshake is bounded, whatever the server sends.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../../src/core/json.ts';
import { shakeHands } from '../../../../src/upstream/mcp/connect/handshake.ts';
import type { Wire } from '../../../../src/upstream/mcp/wire/wire.ts';
import { TIMEOUTS } from '../peers.ts';

const MUCH = 'x'.repeat(100_000);
const OF_ITSELF = {
  capabilities: { tools: { listChanged: true, x: MUCH }, experimental: { x: MUCH } },
  instructions: MUCH,
};
const OTHER = { name: MUCH, version: MUCH, title: MUCH };

/** A server that answers either request of a handshake with this. */
function serving(answers: Readonly<Record<string, JsonObject>>): Wire {
  const wire: Pick<Wire, 'transport' | 'request' | 'notify' | 'adopt'> = {
    transport: 'streamable-http',
    request: ({ method }) => {
      const result = answers[method];
      return Promise.resolve(result ? { result, bytes: 0 } : { error: { code: -32601, message: 'no' }, bytes: 0 });
    },
    notify: () => Promise.resolve(),
    adopt: () => undefined,
  };
  return wire as Wire;
}

const ANSWERS: [string, Record<string, JsonObject>][] = [
  ['legacy', { initialize: { ...OF_ITSELF, protocolVersion: '2025-11-25', serverInfo: OTHER } }],
  [
    'modern',
    {
      'server/discover': {
        ...OF_ITSELF,
        supportedVersions: ['2026-07-28'],
        _meta: { 'io.modelcontextprotocol/serverInfo': OTHER },
      },
    },
  ],
];

test.each(ANSWERS)(
  'of a %s server nothing is kept but what the protocol has, and no more of that than is of use',
  async (era, answers) => {
    const options = { server: 's', client: { name: 'c', version: '1' }, timeouts: TIMEOUTS, capabilities: {} };

    const found = await shakeHands(serving(answers), options);

    expect(found).toMatchObject({
      era,
      capabilities: { tools: { listChanged: true } },
      instructions: 'x'.repeat(16_000),
      serverInfo: { name: 'x'.repeat(128), version: 'x'.repeat(64) },
    });
    expect(JSON.stringify(found).length).toBeLessThan(17_000);
  },
);
