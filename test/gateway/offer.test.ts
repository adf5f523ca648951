// What endpoints declare of tasks, by the revision of the client and by what the server declared.
import { expect, test } from 'vitest';
import { EMPTY_OFFER } from '../../src/catalog/offer.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { declare } from '../../src/gateway/offer.ts';
import type { Upstreams } from '../../src/gateway/upstreams.ts';

const requests = { tools: { call: {} } };
const sourceOf = (capabilities: JsonObject) => ({
  server: 's',
  alias: 's',
  offer: { ...EMPTY_OFFER, capabilities },
});
/** One server, `s`, of which it is known what it declares, or not. */
const having = (tasks: JsonObject, seen = true) => {
  const source = sourceOf({ tasks });
  const usableSource = (name: string) => (name === 's' ? source : undefined);
  return { sources: () => [source], usableSource, get: () => ({ seen }) } as unknown as Upstreams;
};
const ofOne = (tasks: JsonObject, revision = '2025-11-25') => declare(having(tasks), 's', revision)?.capabilities;

test('the endpoint of one server says that tasks can be cancelled only where that server says so', () => {
  expect(ofOne({ requests })).toEqual({ tasks: { list: {}, requests } });
  expect(ofOne({ requests, cancel: true, list: {} })).toEqual({ tasks: { list: {}, requests } });
  expect(ofOne({ requests, cancel: {} })).toEqual({ tasks: { list: {}, cancel: {}, requests } });
  expect(ofOne({ requests, cancel: {} }, '2025-06-18')).toEqual({});
});

test('the endpoint of all servers always says so', () => {
  const { capabilities } = declare(having({ requests }), undefined, '2025-11-25') ?? {};

  expect(capabilities?.tasks).toEqual({ list: {}, cancel: {}, requests });
});

test('the endpoint of a server that never answered declares everything, that of an unknown server nothing', () => {
  const unseen = declare(having({}, false), 's', '2025-11-25');

  expect(unseen?.capabilities).toMatchObject({
    tools: {},
    prompts: {},
    resources: { subscribe: true },
    tasks: { cancel: {} },
  });
  expect(declare(having({}), 'other', '2025-11-25')).toBeUndefined();
});
