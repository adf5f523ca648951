// What endpoints declare of tasks, by the revision of the client and by what the server declared.
import { expect, test } from 'vitest';
import { EMPTY_OFFER } from '../../src/catalog/offer.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { declareAll, declareOne } from '../../src/gateway/offer.ts';

const requests = { tools: { call: {} } };
const sourceOf = (capabilities: JsonObject) => ({
  server: 's',
  alias: 's',
  offer: { ...EMPTY_OFFER, capabilities },
});
const ofOne = (tasks: JsonObject, revision = '2025-11-25') => declareOne(sourceOf({ tasks }), revision).capabilities;

test('the endpoint of one server says that tasks can be cancelled only where that server says so', () => {
  expect(ofOne({ requests })).toEqual({ tasks: { list: {}, requests } });
  expect(ofOne({ requests, cancel: true, list: {} })).toEqual({ tasks: { list: {}, requests } });
  expect(ofOne({ requests, cancel: {} })).toEqual({ tasks: { list: {}, cancel: {}, requests } });
  expect(ofOne({ requests, cancel: {} }, '2025-06-18')).toEqual({});
});

test('the aggregate says so whatever its servers declare', () => {
  const { capabilities } = declareAll([sourceOf({ tasks: { requests } })], '2025-11-25');

  expect(capabilities.tasks).toEqual({ list: {}, cancel: {}, requests });
});
