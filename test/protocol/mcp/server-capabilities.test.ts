// What is kept of a server's capabilities: what the protocol has, and nothing else, however much there is of it.
import { expect, test } from 'vitest';
import { knownServerCapabilities } from '../../../src/upstream/mcp/connect/handshake.ts';

const TASKS = 'io.modelcontextprotocol/tasks';

test('everything that the protocol has is kept', () => {
  const all = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    completions: {},
    logging: {},
    tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
    extensions: { [TASKS]: {} },
  };

  expect(knownServerCapabilities(all)).toEqual(all);
  expect(knownServerCapabilities({ tools: {}, resources: { subscribe: true }, tasks: {} })).toEqual({
    tools: {},
    resources: { subscribe: true },
    tasks: {},
  });
});

test('nothing else is kept, at any place', () => {
  const much = [[], []];
  const given = {
    tools: { listChanged: much, x: much },
    prompts: true,
    completions: { x: much },
    tasks: { list: { x: much }, cancel: true, requests: { tools: { call: { x: much } }, x: much } },
    extensions: { [TASKS]: { x: much }, x: much },
    experimental: { x: much },
    x: much,
  };

  expect(knownServerCapabilities(given)).toEqual({
    tools: {},
    completions: {},
    tasks: { list: {}, requests: { tools: { call: {} } } },
    extensions: { [TASKS]: {} },
  });
  for (const none of [undefined, null, [], 'tools']) expect(knownServerCapabilities(none)).toEqual({});
});
