// The relay line by line, with the test in the place of the owners.
import { once } from 'node:events';
import { type Duplex, duplexPair, PassThrough } from 'node:stream';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { Relay } from '../../src/cli/relay.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { STOPPING_LINE } from '../../src/downstream/control-protocol.ts';

/** One end of a pipe, which reads message by message. */
class End {
  private readonly messages: JsonValue[] = [];
  private wake: (() => void) | undefined;
  private readonly writable: NodeJS.WritableStream;

  constructor(readable: NodeJS.ReadableStream, writable: NodeJS.WritableStream) {
    this.writable = writable;
    createInterface(readable).on('line', (line) => {
      this.messages.push(JSON.parse(line) as JsonValue);
      this.wake?.();
    });
  }

  send(message: JsonValue): void {
    this.line(JSON.stringify(message));
  }

  line(text: string): void {
    this.writable.write(`${text}\n`);
  }

  async next(): Promise<JsonValue> {
    while (this.messages.length === 0) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.messages.shift()!;
  }

  get waiting(): number {
    return this.messages.length;
  }
}

interface Owner extends End {
  die(): void;
}

interface Stage {
  readonly client: End;
  readonly input: PassThrough;
  readonly first: Owner;
  readonly done: Promise<unknown>;
  readonly warnings: string[];
  /** Resolves when the relay looks for another owner. */
  readonly looking: Promise<void>;
  /** Lets the relay find the next owner. */
  next(): Owner;
  /** Lets the relay find none. */
  fail(): void;
}

function owner(): { owner: Owner; near: Duplex } {
  const [near, far] = duplexPair();
  const end = new End(far, far);
  far.on('end', () => far.end());
  return { near, owner: Object.assign(end, { die: () => void near.destroy() }) };
}

function play(): Stage {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const joins: PromiseWithResolvers<Duplex>[] = [Promise.withResolvers<Duplex>()];
  let asked = 0;
  let given = 0;
  const at = (index: number) => (joins[index] ??= Promise.withResolvers<Duplex>());
  const warnings: string[] = [];
  const looking = Promise.withResolvers<undefined>();
  const join = () => {
    looking.resolve(undefined);
    return at(asked++).promise;
  };
  const relay = new Relay({ input, output, join, warn: (words) => warnings.push(words) });
  const first = owner();
  const done = relay.run(first.near).then(
    () => 'ended',
    (error: unknown) => error,
  );
  return {
    client: new End(output, input),
    input,
    first: first.owner,
    done,
    warnings,
    looking: looking.promise,
    next: () => {
      const made = owner();
      at(given++).resolve(made.near);
      return made.owner;
    },
    fail: () => at(given++).reject(new Error('nobody')),
  };
}

const request = (id: string | number, method: string, params: JsonObject = {}) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});
const notification = (method: string, params: JsonObject = {}) => ({ jsonrpc: '2.0', method, params });
const result = (id: string | number, value: JsonObject = {}) => ({ jsonrpc: '2.0', id, result: value });
const CALL = request(1, 'tools/call', { name: 'x' });
const INITIALIZE = request('i', 'initialize', { protocolVersion: '2025-11-25', capabilities: { roots: {} } });
const AGREED = { protocolVersion: '2025-11-25', capabilities: {} };
const INITIALIZED = notification('notifications/initialized');

async function agree({ client, first }: Stage): Promise<void> {
  client.send(INITIALIZE);
  await first.next();
  first.send(result('i', AGREED));
  await client.next();
  client.send(INITIALIZED);
  await first.next();
}

/** Answers the relay's own `initialize`; returns its id. */
async function agreeAgain(next: Owner, answer: JsonObject = AGREED): Promise<void> {
  const again = (await next.next()) as JsonObject;
  expect(again).toEqual({ ...INITIALIZE, id: again.id });
  expect(again.id).not.toBe('i');
  next.send(result(again.id as string, answer));
}

const lists = ['tools', 'prompts', 'resources'].map((kind) => notification(`notifications/${kind}/list_changed`));
const errorOf = (id: string | number, reason: string) => ({ id, error: { data: { reason } } });

test('what a client had set is set again, what it is told twice is swallowed, and what failed is said', async () => {
  const stage = play();
  const { client, first } = stage;
  await agree(stage);
  const settings: [string, JsonObject][] = [
    ['logging/setLevel', { level: 'error' }],
    ['resources/subscribe', { uri: 'a' }],
    ['resources/subscribe', { uri: 'b' }],
    ['resources/subscribe', { uri: 'c' }],
    ['resources/unsubscribe', { uri: 'b' }],
  ];
  for (const [index, [method, params]] of settings.entries()) {
    client.send(request(index, method, params));
    await first.next();
    first.send(result(index));
    await client.next();
  }
  client.send(request('refused', 'logging/setLevel', { level: 'x' }));
  await first.next();
  first.send({ jsonrpc: '2.0', id: 'refused', error: { code: -32602, message: 'no' } });
  await client.next();
  first.die();
  const next = stage.next();
  await agreeAgain(next);

  expect(await next.next()).toEqual(INITIALIZED);
  const again = [await next.next(), await next.next(), await next.next()] as JsonObject[];
  expect(again.map(({ method, params }) => [method, params])).toEqual([settings[0], settings[1], settings[3]]);
  const [level, a, c] = again.map(({ id }) => id as string);
  next.send(result(level!));
  next.send(result(a!));
  next.send({ jsonrpc: '2.0', id: c!, error: { code: -32002, message: 'gone' } });
  for (const list of lists) expect(await client.next()).toEqual(list);
  expect(await client.next()).toEqual(notification('notifications/resources/updated', { uri: 'a' }));
  client.send(CALL);
  expect(await next.next()).toEqual(CALL);
  next.send(result(1));
  expect(await client.next()).toEqual(result(1));
  expect(stage.warnings).toEqual(['updates of c no longer arrive: gone']);
  expect(client.waiting).toBe(0);
});

test('each request in flight gets one error, a batch its array; a cancelled one none; the handshake is asked again', async () => {
  const stage = play();
  const { client, first } = stage;
  const lines: JsonValue[] = [
    CALL,
    request('1', 'resources/read', { uri: 'x' }),
    request(2, 'tools/call'),
    notification('notifications/cancelled', { requestId: 2 }),
    [request(3, 'tools/call'), request(4, 'tools/list'), INITIALIZED],
    request(5, 'ping'),
    request(6, 'tools/call'),
    request(6, 'tools/call'),
    { jsonrpc: '2.0', id: 7, method: 8 },
    request('d', 'server/discover'),
  ];
  for (const line of lines) {
    client.send(line);
    expect(await first.next()).toEqual(line);
  }
  first.die();
  const next = stage.next();

  expect(await client.next()).toMatchObject(errorOf(1, 'gateway_closed'));
  expect(await client.next()).toMatchObject(errorOf('1', 'shutting_down'));
  for (const id of [6, 6, 7]) expect(await client.next()).toMatchObject(errorOf(id, 'gateway_closed'));
  expect(await client.next()).toMatchObject([errorOf(3, 'gateway_closed'), errorOf(4, 'shutting_down')]);
  expect(await next.next()).toEqual(request(5, 'ping'));
  expect(await next.next()).toEqual(request('d', 'server/discover'));
  client.send(INITIALIZE);
  expect(await next.next()).toEqual(INITIALIZE);
  expect([client.waiting, next.waiting]).toEqual([0, 0]);
});

test('an answer that was cut off by the end of the owner is not passed on', async () => {
  const stage = play();
  const { client, first } = stage;
  client.send(CALL);
  await first.next();
  first.send(notification('notifications/progress', { progressToken: 1, progress: 1 }));
  first.line('{"jsonrpc":"2.0","id":1,"res'.slice(0, -1));
  await client.next();
  first.die();

  expect(await client.next()).toMatchObject(errorOf(1, 'gateway_closed'));
});

test('questions keep apart the owners that ask them: one of an owner that has ended is taken back, its answer dropped', async () => {
  const stage = play();
  const { client, first } = stage;
  await agree(stage);
  first.send(request(1, 'roots/list'));
  const asked = (await client.next()) as JsonObject;
  client.send(result(asked.id as string, { roots: [] }));
  expect(await first.next()).toEqual(result(1, { roots: [] }));
  first.send(request(2, 'sampling/createMessage'));
  const withdrawn = (await client.next()) as JsonObject;
  first.send(notification('notifications/cancelled', { requestId: 2, reason: 'enough' }));
  expect(await client.next()).toEqual(
    notification('notifications/cancelled', { requestId: withdrawn.id!, reason: 'enough' }),
  );
  first.send(request(3, 'elicitation/create'));
  const open = (await client.next()) as JsonObject;
  first.die();
  expect(await client.next()).toMatchObject({ method: 'notifications/cancelled', params: { requestId: open.id } });
  const next = stage.next();
  await agreeAgain(next);
  await next.next();
  for (const list of lists) expect(await client.next()).toEqual(list);
  next.send(request(3, 'elicitation/create'));
  const other = (await client.next()) as JsonObject;
  client.send(result(open.id as string, { action: 'accept' }));
  client.send({ jsonrpc: '2.0', id: other.id as string, error: { code: -1, message: 'no' } });

  expect(await next.next()).toEqual({ jsonrpc: '2.0', id: 3, error: { code: -1, message: 'no' } });
  expect(new Set([asked, withdrawn, open, other].map(({ id }) => id)).size).toBe(4);
});

test('what is asked while the owner is ending waits for the next one; the rest goes on', async () => {
  const stage = play();
  const { client, first } = stage;
  client.send(CALL);
  await first.next();
  first.line(STOPPING_LINE);
  first.send(notification('notifications/message', { level: 'info', data: 'after' }));
  await client.next();
  client.send(request(2, 'tools/call'));
  client.send(request(3, 'tools/list'));
  client.send(notification('notifications/cancelled', { requestId: 2 }));
  client.send(notification('notifications/progress', { progressToken: 1 }));
  expect(await first.next()).toEqual(notification('notifications/progress', { progressToken: 1 }));
  first.send(result(1));
  expect(await client.next()).toEqual(result(1));
  first.die();
  const next = stage.next();

  expect(await next.next()).toEqual(request(3, 'tools/list'));
  expect([client.waiting, next.waiting]).toEqual([0, 0]);
});

test('what is asked while there is no owner is refused where none is found', async () => {
  const stage = play();
  stage.first.die();
  await stage.looking;
  const taken = once(stage.input, 'data');
  stage.client.line(`${JSON.stringify([request(1, 'tools/list'), request(2, 'ping')])}\n${JSON.stringify(CALL)}`);
  await taken;
  stage.fail();

  expect(await stage.done).toEqual(new Error('nobody'));
  expect(await stage.client.next()).toMatchObject([errorOf(1, 'shutting_down'), errorOf(2, 'shutting_down')]);
  expect(await stage.client.next()).toMatchObject(errorOf(1, 'shutting_down'));
});

test('an owner that ends while the session begins with it is followed by another', async () => {
  const stage = play();
  await agree(stage);
  stage.first.die();
  const second = stage.next();
  await second.next();
  second.die();
  const third = stage.next();
  await agreeAgain(third);

  expect(await third.next()).toEqual(INITIALIZED);
});

test('an owner that agrees on another revision is not gone on with', async () => {
  const stage = play();
  await agree(stage);
  stage.first.die();
  await agreeAgain(stage.next(), { ...AGREED, protocolVersion: '2025-06-18' });

  expect(await stage.done).toMatchObject({ status: 4, message: expect.stringContaining('2025-11-25') as unknown });
});

test('the end of the input ends it while there is an owner', async () => {
  const stage = play();
  stage.client.send(CALL);
  stage.input.end();

  expect(await stage.done).toBe('ended');
});

test('the end of the input ends it while another owner is looked for', async () => {
  const stage = play();
  stage.first.die();
  await stage.looking;
  stage.input.end();

  expect(await stage.done).toBe('ended');
});

test('a client that sends much while there is no owner is not read any more until there is one', async () => {
  const stage = play();
  stage.first.die();
  await stage.looking;
  const paused = once(stage.input, 'pause');
  const big = { ...CALL, params: { text: 'x'.repeat(600_000) } };
  stage.client.send(big);
  stage.client.send({ ...big, id: 2 });
  await paused;
  stage.client.send({ ...big, id: 3 });
  const next = stage.next();

  for (const id of [1, 2, 3]) expect(await next.next()).toEqual({ ...big, id });
});
