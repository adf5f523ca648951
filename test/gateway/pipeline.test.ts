// The order of the stages: what is committed when, what is refused where, and what a stopping gateway still does.
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { AuditRecord } from '../../src/audit/record.ts';
import type { McpCall } from '../../src/core/call.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { buildPipeline, type CallKind, deliver } from '../../src/gateway/pipeline.ts';
import { unknownMcp } from '../../src/gateway/resolve.ts';
import type { PolicyEntry } from '../../src/policy/policy.ts';
import { InFlightMemory } from '../../src/quota/in-flight-memory.ts';
import { ECHO, emptyContext, makeCall, policyEntry } from '../audit/bare-call.ts';
import { makeReply } from '../audit/calls.ts';

const DENIED = policyEntry('everything', { tools: { allow: [], deny: [] } });

/** A pipeline of which every part tells what it does, in order. A batch of records is what is appended within one turn. */
function world(kind: Partial<CallKind> = {}, servers?: readonly PolicyEntry[]) {
  const events: string[] = [];
  const records: AuditRecord[] = [];
  let batch: string[] | undefined;
  const append = (record: AuditRecord) =>
    new Promise<void>((resolve) => {
      records.push(record);
      if (!batch) {
        const opened: string[] = [];
        batch = opened;
        setImmediate(() => {
          batch = undefined;
          events.push(`committed ${opened.join(' and ')}`);
        });
      }
      batch.push(record.kind);
      setImmediate(resolve);
    });
  const memory = new InFlightMemory();
  const stopping = new Cancellation();
  const handle = buildPipeline({
    logger: pino({ level: 'silent' }),
    audit: { append },
    memory: {
      enter: (call: McpCall) => {
        events.push('entered');
        memory.enter(call);
      },
      leave: (call: McpCall) => {
        events.push('left');
        memory.leave(call);
      },
      require: (principal: string) => {
        events.push('quota');
        memory.require(principal);
      },
    } as unknown as InFlightMemory,
    stopping,
    watcher: {
      event: () => undefined,
      serverChanged: () => undefined,
      reloaded: () => undefined,
      callEnded: ({ status }) => events.push(`watched ${status}`),
    },
    kinds: {
      mcp: {
        resolve: (call, ctx) => {
          events.push('resolved');
          ctx.target = ECHO;
          ctx.requested = ECHO.exposed;
          return kind.resolve?.(call, ctx);
        },
        unknown: unknownMcp,
        dispatch: (call, ctx) => {
          events.push(`dispatched ${ctx.decision?.rule}`);
          return kind.dispatch?.(call, ctx) ?? Promise.resolve(makeReply());
        },
      },
    },
  });
  const run = (call = makeCall()) => {
    const sink = {
      end: () => events.push('answered'),
      fail: ({ code }: GatewayError) => events.push(`failed ${code}`),
    };
    return deliver(call, { ctx: emptyContext(servers), handle, ending: new Cancellation(), sink });
  };
  return { run, events, records, stopping, memory };
}

test('a call is admitted, resolved, decided on, counted and committed before it is dispatched, and settled the other way round', async () => {
  const { run, events, records } = world();
  await run();

  expect(events).toEqual([
    'entered',
    'resolved',
    'quota',
    'committed intent',
    'dispatched default',
    'left',
    'committed outcome',
    'watched ok',
    'answered',
  ]);
  expect(records).toMatchObject([
    { kind: 'intent', exposed: ECHO.exposed, server: 'everything', decision: { allowed: true, rule: 'default' } },
    { kind: 'outcome', status: 'ok', instance: 'everything#1' },
  ]);
});

test('resolve may wait, and authorize decides on what it found', async () => {
  const { run, events } = world({ resolve: () => new Promise((resolve) => setImmediate(resolve)) });
  await run();

  expect(events.slice(0, 5)).toEqual(['entered', 'resolved', 'quota', 'committed intent', 'dispatched default']);
});

const stranger = new GatewayError('invalid_params', 'no');
test.for<[string, { kind?: Partial<CallKind>; servers?: PolicyEntry[] }, string[], object]>([
  [
    'resolve throws',
    {
      kind: {
        resolve: () => {
          throw stranger;
        },
      },
    },
    ['resolved', 'invalid_params'],
    { allowed: false, rule: 'none' },
  ],
  [
    'resolve rejects',
    { kind: { resolve: () => Promise.reject(stranger) } },
    ['resolved', 'invalid_params'],
    { allowed: false, rule: 'none' },
  ],
  [
    'policy denies',
    { servers: [DENIED] },
    ['resolved', 'unknown_target'],
    { allowed: false, rule: 'mcpServers.everything.tools.allow' },
  ],
])(
  'what is refused where %s is never dispatched, and recorded in one batch',
  async ([, { kind, servers }, told, decision]) => {
    const { run, events, records } = world(kind, servers);
    await run();
    const [before, code = ''] = told;

    expect(events).toEqual([
      'entered',
      before,
      'left',
      'committed intent and outcome',
      'watched refused',
      `failed ${code}`,
    ]);
    expect(records).toMatchObject([
      { kind: 'intent', decision },
      { kind: 'outcome', status: 'refused', error: code },
    ]);
  },
);

test('a call that is refused for want of memory is recorded in one batch with the decision that permitted it, and frees its memory', async () => {
  const { run, events, records, memory } = world();
  const half = { principal: makeCall().principal, heldBytes: 300 * 1024 * 1024 };
  memory.enter(half);
  await run();

  expect(events).toEqual([
    'entered',
    'resolved',
    'quota',
    'left',
    'committed intent and outcome',
    'watched refused',
    'failed overloaded',
  ]);
  expect(records).toMatchObject([
    { kind: 'intent', decision: { allowed: true } },
    { kind: 'outcome', status: 'refused', error: 'overloaded' },
  ]);
  memory.leave(half);
  await run();
  expect(events.at(-1)).toBe('answered');
});

test('a gateway that stops refuses new calls, and records them; it finishes calls on behalf of another call', async () => {
  const { run, events, records, stopping } = world();
  stopping.abort();
  await run();

  expect(events).toEqual(['committed intent and outcome', 'watched refused', 'failed shutting_down']);
  expect(records).toMatchObject([
    { kind: 'intent', decision: { allowed: false, rule: 'none' } },
    { kind: 'outcome', error: 'shutting_down' },
  ]);
  events.length = 0;
  await run(makeCall({ parent: 'another call' }));
  expect(events).toContain('dispatched default');
  expect(events.at(-1)).toBe('answered');
});

test('a call of an unknown kind fails as internal, and is recorded', async () => {
  const { run, records, events } = world();
  await run({ ...makeCall(), kind: 'other' as 'mcp' });

  expect(events.at(-1)).toBe('failed internal');
  expect(records).toMatchObject([{ kind: 'intent' }, { kind: 'outcome', status: 'unknown', error: 'internal' }]);
});
