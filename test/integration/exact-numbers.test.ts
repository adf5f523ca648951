// What is sent as a number arrives as the same text, in both eras and across them, also where JavaScript has no such number.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorOf } from './harness/raw.ts';
import { type ClientEra, SERVERS, startVerbatim, type VerbatimGateway } from './harness/verbatim.ts';

let there: VerbatimGateway;
beforeAll(async () => (there = await startVerbatim()));
afterAll(() => there.stop());

const ODD = ['9007199254740993', '1e400', '-0', '1.0', '1e3', '0.10', '1E+2', '-9223372036854775808', '1e-400', '0'];

/** Any number that JSON can write. */
const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.constant('0'), fc.stringMatching(/^[1-9][0-9]{0,30}$/)),
    fc.oneof(fc.constant(''), fc.stringMatching(/^\.[0-9]{1,20}$/)),
    fc.oneof(fc.constant(''), fc.stringMatching(/^[eE][+-]?[0-9]{1,4}$/)),
  )
  .map((parts) => parts.join(''));

const ERAS: ClientEra[] = ['legacy', 'modern'];
const WAYS = ERAS.flatMap((era) => SERVERS.map((server) => [era, server] as const));

describe.each(WAYS)('a %s client at %s', (era, server) => {
  test('gets the numbers that it sent', async () => {
    const args = `{"v":[${ODD.join(',')}],"deep":{"n":1.50}}`;
    const { text } = await there.call(era, `${server}__echo`, { args });
    expect(text).toContain(`"structuredContent":${args}`);
  });

  test('gets any number that JSON can write', async () => {
    const lists = fc.sample(fc.array(numberText, { minLength: 1, maxLength: 20 }), { numRuns: 20, seed: 7 });
    for (const list of lists) {
      const args = `{"v":[${list.join(',')}]}`;
      const { text } = await there.call(era, `${server}__echo`, { args });
      expect(text).toContain(`"structuredContent":${args}`);
    }
  });
});

test('a large message keeps its numbers too', async () => {
  const args = `{"v":[${'1.0,'.repeat(90_000)}1e400]}`;
  const { text } = await there.call('modern', 'stdio_legacy__echo', { args });
  expect(text.includes(`"structuredContent":${args}`)).toBe(true);
});

test('a list that legacy clients get as an object keeps its numbers, in the text beside it too', async () => {
  const { text } = await there.call('legacy', 'stdio_modern__list', { args: '{"v":1.0}' });
  expect(text).toContain('"structuredContent":{"result":[{"v":1.0}]}');
  expect(text).toContain(String.raw`"text":"[{\"v\":1.0}]"`);
});

describe.each(ERAS)('an id of a %s client', (era) => {
  test.each(['1.0', '1e3', '-0', '9007199254740993'])('that is %s is refused, and the reason said', async (id) => {
    const answer = await there.call(era, 'stdio_legacy__echo', { id });
    expect(errorOf(answer)).toMatchObject({
      code: -32600,
      message: expect.stringContaining(`${id} is none`) as string,
    });
  });

  test('that is a plain integer or a string comes back as it was sent', async () => {
    for (const id of ['0', '-7', '9007199254740991', '"1.0"']) {
      const { text } = await there.call(era, 'stdio_legacy__echo', { id });
      expect(text).toContain(`"id":${id},"result"`);
    }
  });
});
