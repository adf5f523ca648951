// The worst messages that the limits allow, and those beyond them: refused by name, to the one call that they belong to, at once.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorOf, openPipe, resultOf } from './harness/raw.ts';
import { type ClientEra, SERVERS, startVerbatim, type VerbatimGateway } from './harness/verbatim.ts';

let there: VerbatimGateway;
// an answer that does not end its call would hold it up for all of this time
beforeAll(async () => (there = await startVerbatim({ limits: { body: '16MiB' } })));
afterAll(() => there.stop());

const keys = (count: number) => `{${Array.from({ length: count }, (_, n) => `"k${n}":1`).join(',')}}`;
const ERAS: ClientEra[] = ['legacy', 'modern'];

describe.each(ERAS)('a request of a %s client', (era) => {
  test.each([
    ['300,000 keys', keys(300_000)],
    ['five million empty arrays', `{"a":[${'[],'.repeat(5_000_000)}[]]}`],
  ])('with %s is refused under its id, and the limit named', async (_what, args) => {
    const answer = await there.call(era, 'stdio_legacy__echo', { args, id: '77' });
    expect(answer.text).toContain('"id":77');
    expect(errorOf(answer)).toMatchObject({
      code: -32600,
      message: 'The JSON has more than 100000 items, array elements and object members together (limits.items).',
    });
  });

  test('that is too deep is refused under its id', async () => {
    const args = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const answer = await there.call(era, 'stdio_legacy__echo', { args, id: '"deep"' });
    expect(answer.text).toContain('"id":"deep"');
    expect(errorOf(answer).message).toContain('limits.depth');
  });

  test('with as many keys as are allowed arrives whole', async () => {
    const args = keys(99_000);
    const { text } = await there.call(era, 'stdio_legacy__echo', { args });
    expect(text.includes(`"structuredContent":${args}`)).toBe(true);
  });

  test('that names a key twice is refused however large it is', async () => {
    const answer = await there.call(era, 'stdio_legacy__echo', {
      args: keys(50_000).replace('"k49999"', '"k7"'),
    });
    expect(errorOf(answer).message).toContain('names the key "k7" twice');
  });
});

test('a client on a pipe is refused in the same way, and goes on', async () => {
  const pipe = openPipe(there.gateway);
  pipe.line(
    `{"jsonrpc":"2.0","id":9,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`,
  );
  await pipe.inbox.find({ id: 9 });
  pipe.line(`{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"x","arguments":${keys(120_000)}}}`);
  pipe.request(11, 'ping');
  expect(await pipe.inbox.find({ id: 10 })).toMatchObject({ error: { code: -32600 } });
  expect(await pipe.inbox.find({ id: 11 })).toMatchObject({ result: {} });
  await pipe.end();
});

describe.each(SERVERS)('an answer of %s', (server) => {
  test.each([
    ['deep', `The server "${server}" sent an answer that is nested deeper than 512 levels, which is the limit.`],
    [
      'many',
      `The server "${server}" sent an answer of more than 100000 items, array elements and object members together (limits.items).`,
    ],
  ])('that is too %s ends its call at once with an error that names server and limit', async (tool, message) => {
    expect(errorOf(await there.call('modern', `${server}__${tool}`))).toMatchObject({ message });
  });

  test('that is too large ends its call at once with an error that names server and limit', async () => {
    const { message } = errorOf(await there.call('modern', `${server}__huge`));
    expect(message).toMatch(new RegExp(`^The server "${server}" sent a message of more than 16777216 bytes`));
    expect(message).toContain('limits.upstreamMessage');
  });

  test.each(ERAS)('as large as is allowed reaches a %s client whole', async (era) => {
    const answer = await there.call(era, `${server}__large`);
    const { x } = resultOf(answer) as { x: unknown[] };
    expect(x.length).toBe(99_001);
    expect(answer.text.includes('1.0]')).toBe(true);
  });

  test('comes when one over a limit was ended', async () => {
    expect(resultOf(await there.call('legacy', `${server}__echo`, { args: '{"a":1}' }))).toMatchObject({
      structuredContent: { a: 1 },
    });
  });
});
