// A stream that ends before its answer is resumed if the server gave an event id; else its call fails once.
import { expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../../apart.ts';
import { HttpWire } from '../../../src/upstream/mcp/wire/http-wire.ts';
import type { Timeouts } from '../../../src/config/config.ts';
import { call, caller, httpOptions, type Message, Report, Seen, stream, type Visit, web } from './peers.ts';

tellTestsApart();

type Serve = (visit: Visit) => void;

const envelope = (message: object) => JSON.stringify({ jsonrpc: '2.0', ...message });
const answerOf = ({ message }: Visit, text = 'done') =>
  `id: last\ndata: ${envelope({ id: message.id, result: { content: [{ type: 'text', text }] } })}\n\n`;

/** A legacy connection to a server that handles tool calls and resumed streams as the test says. */
async function connect(script: { call: Serve; get?: Serve; timeouts?: Partial<Timeouts> }) {
  const report = new Report();
  const sent = new Seen<Message>();
  let standing = true;
  const server = await web((visit) => {
    const { http, message, response, headers } = visit;
    if (message.method !== undefined) sent.add(message);
    if (http === 'GET' && standing) {
      standing = false;
      if (script.get && headers['last-event-id'] === undefined) response.writeHead(405).end();
      else stream(response);
    } else if (http === 'GET') script.get?.(visit);
    else if (message.method === 'tools/call') script.call(visit);
    else response.writeHead(202).end();
  });
  const wire = new HttpWire(httpOptions(server.url, report, script));
  onTestFinished(() => wire.close());
  wire.adopt({ era: 'legacy', version: '2025-11-25' });
  await server.visits.first(({ http }) => http === 'GET');
  return { wire, sent, report, visits: server.visits };
}

const resumes = (visits: Seen<Visit>) => visits.all.filter(({ headers }) => headers['last-event-id'] !== undefined);

test.concurrent(
  'a stream that its server closes to be polled is asked for again, after its `retry` and from its last event',
  async () => {
    let asked: Visit | undefined;
    const times: number[] = [];
    const there = await connect({
      call: (visit) => {
        asked = visit;
        stream(visit.response).end('id: e1\nretry: 300\ndata: \n\n', () => times.push(performance.now()));
      },
      get: ({ response }) => {
        times.push(performance.now());
        if (times.length === 2) stream(response).end('id: e2\ndata: \n\n');
        else if (asked) stream(response).end(answerOf(asked));
      },
    });

    const { reply } = await call(there, caller());

    expect((await reply).result).toMatchObject({ content: [{ text: 'done' }] });
    expect(resumes(there.visits).map(({ headers }) => headers['last-event-id'])).toEqual(['e1', 'e2']);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(299);
    expect(there.sent.all.filter(({ method }) => method === 'tools/call')).toHaveLength(1);
  },
);

test.concurrent(
  'a stream that breaks after an event with an id is resumed, with what its caller is told meanwhile',
  async () => {
    let asked: Visit | undefined;
    const alice = caller();
    const there = await connect({
      call: (visit) => {
        asked = visit;
        stream(visit.response).write('id: e1\ndata: \n\n', () => visit.response.destroy());
      },
      get: ({ response }) => {
        const progress = {
          method: 'notifications/progress',
          params: { progressToken: asked?.message.id, progress: 1 },
        };
        stream(response).write(`id: e2\ndata: ${envelope(progress)}\n\n`);
        if (asked) response.end(answerOf(asked));
      },
    });

    const { reply } = await call(there, alice);

    expect((await reply).result).toBeDefined();
    expect(alice.notifications.all).toEqual([{ progress: 1 }]);
  },
);

test.concurrent.each([
  ['ends', (visit: Visit) => void stream(visit.response).end('data: \n\n')],
  ['takes its id back', (visit: Visit) => void stream(visit.response).end('id: e1\ndata: \n\nid\ndata: \n\n')],
  ['ends without a word', (visit: Visit) => void stream(visit.response).end()],
  ['names an id that no header can carry', (visit: Visit) => void stream(visit.response).end('id: ä\ndata: \n\n')],
])('a stream that %s and cannot be resumed fails its call, which is not sent again', async (_what, script) => {
  const there = await connect({ call: script });

  const { reply } = await call(there, caller());

  await expect(reply).rejects.toMatchObject({ code: 'upstream_closed' });
  expect(resumes(there.visits)).toEqual([]);
  expect(there.sent.all.filter(({ method }) => method === 'tools/call')).toHaveLength(1);
});

test.concurrent.each([400, 404, 405])(
  'a server that answers HTTP %i to the resumption fails the call, not the session',
  async (status) => {
    const there = await connect({
      call: (visit) => void stream(visit.response).end('id: e1\nretry: 1\ndata: \n\n'),
      get: ({ response }) => void response.writeHead(status).end('no'),
    });

    const { reply } = await call(there, caller());

    await expect(reply).rejects.toThrow(/could not be resumed/);
    expect(resumes(there.visits)).toHaveLength(1);
    expect(there.report.ends.all).toEqual([]);
  },
);

test.concurrent('a server that fails every resumption gets five attempts more, and not at once', async () => {
  const there = await connect({
    call: (visit) => void stream(visit.response).end('id: e1\nretry: 0\ndata: \n\n'),
    get: ({ response }) => void response.writeHead(500).end(),
  });
  const before = performance.now();

  const { reply } = await call(there, caller(), { totalMs: 30_000 });

  await expect(reply).rejects.toMatchObject({ code: 'upstream_closed' });
  expect(resumes(there.visits)).toHaveLength(6);
  expect(performance.now() - before).toBeGreaterThan(6_000);
});

test.concurrent(
  'a server that closes the stream for ever is polled only within the total limit of the call, and told of its end',
  async () => {
    const there = await connect({
      call: (visit) => void stream(visit.response).end('id: e1\nretry: 0\ndata: \n\n'),
      get: ({ response }) => void stream(response).end(),
    });

    const { id, reply } = await call(there, caller(), { totalMs: 700 });

    await expect(reply).rejects.toMatchObject({ code: 'upstream_timed_out' });
    const cancelled = await there.sent.first(({ method }) => method === 'notifications/cancelled');
    const count = resumes(there.visits).length;
    expect(cancelled.params).toMatchObject({ requestId: id });
    expect(count).toBeGreaterThan(1);
    expect(count).toBeLessThan(10);
  },
);

test.concurrent(
  'streams that end at once with nothing on them are asked for ever more rarely, whatever `retry` says',
  async () => {
    const report = new Report();
    let id = 0;
    const gets = { standing: 0, resumed: 0 };
    const server = await web(({ http, message, headers, response }) => {
      if (http === 'GET') gets[String(headers['last-event-id']).startsWith('call') ? 'resumed' : 'standing']++;
      if (message.method === 'tools/call') stream(response).end(`id: call${id++}\nretry: 0\ndata: \n\n`);
      else if (http !== 'GET') response.writeHead(202).end();
      else {
        const of = String(headers['last-event-id']).startsWith('call') ? 'call' : 'standing';
        stream(response).end(`id: ${of}${id++}\nretry: 0\ndata: \n\n`);
      }
    });
    const wire = new HttpWire(httpOptions(server.url, report));
    onTestFinished(() => wire.close());
    wire.adopt({ era: 'legacy', version: '2025-11-25' });
    const sent = new Seen<Message>();
    void server.visits.first(({ message }) => {
      if (message.method !== undefined) sent.add(message);
      return false;
    });

    const { reply } = await call({ wire, sent }, caller(), { totalMs: 3_000 });
    await expect(reply).rejects.toMatchObject({ code: 'upstream_timed_out' });

    // 0.1, 0.2, 0.4, 0.8, 1.6 s: after three seconds five times
    expect(gets.resumed).toBeGreaterThan(2);
    expect(gets.resumed).toBeLessThan(7);
    expect(gets.standing).toBeGreaterThan(2);
    expect(gets.standing).toBeLessThan(8);
  },
);

test.concurrent('a stream that brings messages is asked for again as soon as its `retry` says', async () => {
  let asked: Visit | undefined;
  let polls = 0;
  const there = await connect({
    call: (visit) => {
      asked = visit;
      stream(visit.response).end('id: e0\nretry: 100\ndata: \n\n');
    },
    get: ({ response }) => {
      const progress = {
        method: 'notifications/progress',
        params: { progressToken: asked?.message.id, progress: ++polls },
      };
      if (polls < 12) stream(response).end(`id: e${polls}\ndata: ${envelope(progress)}\n\n`);
      else if (asked) stream(response).end(answerOf(asked));
    },
  });

  const { reply } = await call(there, caller(), { totalMs: 5_000 });

  expect((await reply).result).toBeDefined();
});

test.concurrent(
  'a caller who leaves while the stream is away is heard, and nothing is asked for any more',
  async () => {
    const alice = caller();
    const there = await connect({
      call: (visit) => void stream(visit.response).end('id: e1\nretry: 60000\ndata: \n\n', () => alice.cancel()),
    });

    const { id, reply } = await call(there, alice);

    await expect(reply).rejects.toMatchObject({ code: 'cancelled' });
    const cancelled = await there.sent.first(({ method }) => method === 'notifications/cancelled');
    expect(cancelled.params).toMatchObject({ requestId: id });
    expect(resumes(there.visits)).toEqual([]);
  },
);

test.concurrent('silence of a resumed stream is the server’s, not the call’s for ever', async () => {
  const there = await connect({
    call: (visit) => void stream(visit.response).end('id: e1\nretry: 1\ndata: \n\n'),
    get: ({ response }) => void stream(response),
    timeouts: { idle: 200 },
  });

  const { reply } = await call(there, caller());

  await expect(reply).rejects.toThrow(/timeouts\.idle/);
});

test.concurrent(
  'an answer on the standing stream or a resumed one settles the request that it names; on another POST’s it does not',
  async () => {
    const posts: Visit[] = [];
    const there = await connect({ call: (visit) => void posts.push(visit) });
    const standing = there.visits.all.find(({ http }) => http === 'GET');
    const first = await call(there, caller(), { name: 'first' });
    const second = await call(there, caller(), { name: 'second' });

    if (posts[0] && posts[1]) stream(posts[1].response).write(answerOf(posts[0], 'wrong stream'));
    await there.report.diagnostics.first((diagnostic) => diagnostic.includes('another request'));
    if (posts[0]) standing?.response.write(answerOf(posts[0], 'standing'));
    if (posts[1]) posts[1].response.end(answerOf(posts[1], 'own'));

    expect((await first.reply).result).toMatchObject({ content: [{ text: 'standing' }] });
    expect((await second.reply).result).toMatchObject({ content: [{ text: 'own' }] });
  },
);

test.concurrent(
  'the standing stream is resumed; what came meanwhile need not be read again unless the stream broke',
  async () => {
    const report = new Report();
    const gets = new Seen<Visit>();
    const server = await web((visit) => {
      if (visit.http !== 'GET') return void visit.response.writeHead(202).end();
      stream(visit.response);
      gets.add(visit);
    });
    const wire = new HttpWire(httpOptions(server.url, report));
    onTestFinished(() => wire.close());
    wire.adopt({ era: 'legacy', version: '2025-11-25' });
    const nth = (count: number) => gets.first(() => gets.all.length >= count).then(() => gets.all[count - 1]);

    (await nth(1))?.response.end('id: s1\nretry: 1\ndata: \n\n');
    const second = await nth(2);
    second?.response.write(`id: s2\ndata: ${envelope({ method: 'notifications/tools/list_changed' })}\n\n`);
    await report.notifications.first(({ method }) => method.endsWith('list_changed'));
    const missedThen = report.misses;
    second?.response.destroy();
    const third = await nth(3);
    third?.response.write(`data: ${envelope({ method: 'notifications/prompts/list_changed' })}\n\n`);
    await report.notifications.first(({ method }) => method.includes('prompts'));

    expect(gets.all.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 's1', 's2']);
    expect(missedThen).toBe(0);
    expect(report.misses).toBe(1);
  },
);

test.concurrent('a stream that its server leaves open after the answer is left', async () => {
  let closed: Promise<unknown> | undefined;
  const there = await connect({
    call: (visit) => {
      closed = new Promise((resolve) => visit.response.once('close', resolve));
      stream(visit.response).write(answerOf(visit));
    },
    timeouts: { idle: 200 },
  });

  await (
    await call(there, caller())
  ).reply;

  await closed;
});
