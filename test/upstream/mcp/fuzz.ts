// Random messages of a server: bytes, broken frames, answers to other calls, and everything in between.
import fc from 'fast-check';
import { GatewayError } from '../../../src/core/errors.ts';
import { ReadFairness } from '../../../src/core/in-flight.ts';
import { LineSplitter } from '../../../src/protocol/mcp/line-splitter.ts';
import { Redaction } from '../../../src/upstream/mcp/redaction.ts';
import { Channel } from '../../../src/upstream/mcp/wire/channel.ts';
import { Deadlines } from '../../../src/upstream/mcp/wire/pending.ts';
import { HttpExchange } from '../../../src/upstream/mcp/wire/http-exchange.ts';
import { shakeHands } from '../../../src/upstream/mcp/connect/handshake.ts';
import { HttpRejection, type Wire, type WireEvents, type WireReply } from '../../../src/upstream/mcp/wire/wire.ts';

/** Calls in flight while a channel gets input. */
const CALLS = 5;
/** Most lines of one run; the number of runs follows from it. */
export const MOST_LINES = 60;

const anything = fc.jsonValue({ maxDepth: 3 });
const method = fc.constantFrom(
  ...['ping', 'roots/list', 'sampling/createMessage', 'notifications/progress', 'notifications/message'],
  ...['notifications/cancelled', 'notifications/tools/list_changed', 'notifications/resources/updated', '', 'x'],
);
/** The call that an answer names; the last one does not exist. */
const whose = fc.nat(CALLS);

type Line =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'answer' | 'broken'; readonly call: number; readonly more: unknown };

const line: fc.Arbitrary<Line> = fc.oneof(
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ kind: 'bytes', bytes }) as const) },
  { weight: 2, arbitrary: anything.map((value) => ({ kind: 'json', value }) as const) },
  {
    weight: 3,
    arbitrary: fc
      .record(
        { jsonrpc: fc.constantFrom('2.0', '1.0', 2), method, id: anything, params: anything },
        { requiredKeys: [] },
      )
      .map((value) => ({ kind: 'json', value }) as const),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ jsonrpc: fc.constant('2.0'), method, params: fc.dictionary(fc.constantFrom(...KEYS()), anything) })
      .map((value) => ({ kind: 'json', value }) as const),
  },
  { weight: 2, arbitrary: fc.tuple(whose, anything).map(([call, more]) => ({ kind: 'answer', call, more }) as const) },
  { weight: 1, arbitrary: fc.tuple(whose, anything).map(([call, more]) => ({ kind: 'broken', call, more }) as const) },
);

function KEYS(): string[] {
  return ['progressToken', 'progress', 'requestId', 'level', 'data', 'uri', '_meta', '__proto__'];
}

function textOf(written: Line, ids: readonly number[]): Uint8Array {
  if (written.kind === 'bytes') return written.bytes;
  if (written.kind === 'json') return Buffer.from(JSON.stringify(written.value));
  const { call, more } = written;
  const id = ids[call] ?? 999;
  const answer = { jsonrpc: '2.0', id, result: { of: id, more } };
  return Buffer.from(JSON.stringify(written.kind === 'answer' ? answer : { ...answer, error: more }));
}

function events(): WireEvents & { ends: number } {
  const reported = {
    ends: 0,
    notification: () => undefined,
    closed: () => {
      reported.ends++;
    },
    missed: () => undefined,
    serverRequest: () => Promise.reject(new GatewayError('question_undeclared', 'no')),
    log: () => undefined,
    diagnostic: () => undefined,
  };
  return reported;
}

/** Sends lines to a channel in pieces. Throws if a call gets an answer to another one, or an error that is not a GatewayError. Returns the number of lines. */
async function feedChannel(lines: readonly Line[], piece: number): Promise<number> {
  const ids: number[] = [];
  const reported = events();
  const channel = new Channel({
    server: 's',
    maxItems: 100_000,
    deadlines: new Deadlines(),
    redaction: new Redaction([]),
    events: reported,
    source: 'stdout',
    aliveMs: 5_000,
    send: (text) => void ids.push((JSON.parse(text) as { id: number }).id),
    giveUp: () => undefined,
  });
  const ends = Array.from({ length: CALLS }, () =>
    channel.request({ method: 'tools/call', params: {}, totalMs: Infinity }).then(
      (reply) => reply,
      (error: unknown) => error,
    ),
  );
  const asked = ids.slice(0, CALLS);
  const splitter = new LineSplitter(
    {
      line: (text) => void channel.receive(text),
      oversize: () => undefined,
      dropped: (dropped) => channel.dropped(dropped, 4_096),
    },
    4_096,
  );
  const bytes = Buffer.concat(lines.flatMap((written) => [textOf(written, asked), Buffer.from('\n')]));
  for (let at = 0; at < bytes.length; at += piece) splitter.push(bytes.subarray(at, at + piece));
  splitter.end();
  channel.lose('the test is over');
  for (const [index, end] of (await Promise.all(ends)).entries()) check(end, asked[index] ?? 0);
  if (reported.ends !== 1) throw new Error(`the channel reported its end ${reported.ends} times`);
  return lines.length;
}

function check(end: unknown, id: number): void {
  if (end instanceof GatewayError) {
    if (end.code === 'internal') throw end;
    return;
  }
  const { result } = end as WireReply;
  if (result && result.of !== id && 'of' in result)
    throw new Error(`${id} got the answer to ${JSON.stringify(result.of)}`);
}

/** Sends at least so many random lines, in several channels. Returns their number. */
export async function fuzzChannel(wanted: number): Promise<number> {
  let fed = 0;
  const lines = fc.array(line, { minLength: MOST_LINES / 2, maxLength: MOST_LINES, size: 'max' });
  while (fed < wanted) {
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 1, max: 300 }), async (all, piece) => {
        fed += await feedChannel(all, piece);
      }),
      { numRuns: Math.min(1_000, Math.ceil((2 * (wanted - fed)) / MOST_LINES)) },
    );
  }
  return fed;
}

/** A random HTTP response in random pieces: ends once, and throws nothing. */
export async function fuzzExchange(runs: number): Promise<void> {
  const type = fc.constantFrom('text/event-stream', 'application/json', 'text/html', undefined);
  const event = fc.tuple(fc.constantFrom('data', 'id', 'retry', 'event', ''), line).map(([field, written]) => {
    const text = Buffer.from(textOf(written, [1])).toString('latin1');
    return Buffer.from(`${field}: ${text}\n${text.length % 3 === 0 ? '\n' : ''}`, 'latin1');
  });
  const status = fc.constantFrom(200, 202, 204, 302, 400, 404, 500);
  await fc.assert(
    fc.asyncProperty(fc.tuple(type, status), fc.array(event), fc.boolean(), ([contentType, code], chunks, breaks) => {
      let ends = 0;
      const exchange = new HttpExchange(
        {
          server: 's',
          maxMessageBytes: 500,
          maxItems: 1000,
          redaction: new Redaction([]),
          fairness: new ReadFairness(),
          ended: () => undefined,
        },
        {
          message: (text) => {
            if (text.length % 7 === 0) throw new GatewayError('invalid_request', 'not a frame');
          },
          end: (error) => {
            ends++;
            if (error && !(error instanceof GatewayError || error instanceof HttpRejection || error.message === 'cut'))
              throw error;
          },
        },
      );
      const controller = { abort: () => undefined, pause: () => undefined, resume: () => undefined } as never;
      exchange.onRequestStart(controller);
      exchange.onResponseStart(controller, code, contentType === undefined ? {} : { 'content-type': contentType });
      for (const chunk of chunks) exchange.onResponseData(controller, chunk);
      if (breaks) exchange.onResponseError(controller, new Error('cut'));
      else exchange.onResponseEnd();
      if (ends !== 1) throw new Error(`it ended ${ends} times`);
      return Promise.resolve();
    }),
    { numRuns: runs },
  );
}

/** A server that answers the handshake with anything: the handshake succeeds or fails with a GatewayError. */
export async function fuzzHandshake(runs: number): Promise<void> {
  const object = fc.dictionary(
    fc.constantFrom(
      'supportedVersions',
      'protocolVersion',
      'capabilities',
      'serverInfo',
      'instructions',
      '_meta',
      'data',
    ),
    fc.oneof(
      anything,
      fc.array(fc.oneof(anything, fc.constantFrom('2026-07-28', '2025-06-18'))),
      fc.constant('2025-06-18'),
    ),
  );
  const error = fc.record({ code: fc.constantFrom(-32022, -32601, 1), message: fc.string(), data: object });
  const reply = fc.oneof(
    object.map((result) => ({ result, bytes: 1 })),
    error.map((failed) => ({ error: failed, bytes: 1 })),
  );
  await fc.assert(
    fc.asyncProperty(reply, reply, async (first, second) => {
      const wire: Partial<Wire> = {
        transport: 'streamable-http',
        request: ({ method: asked }) => Promise.resolve(asked === 'initialize' ? second : first),
        notify: () => Promise.resolve(),
        adopt: () => undefined,
      };
      const timeouts = { start: 1, connect: 1, firstByte: 1, idle: 1, ping: 1, total: 1 };
      const client = { name: 'c', version: '1' };
      try {
        await shakeHands(wire as Wire, { server: 's', client, timeouts, capabilities: {} });
      } catch (thrown) {
        if (!(thrown instanceof GatewayError) || thrown.code === 'internal' || thrown.message.length > 1_000)
          throw thrown;
      }
    }),
    { numRuns: runs },
  );
}
