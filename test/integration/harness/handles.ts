// Everything that names something of a caller's: how it is made, how somebody uses it, and what the same use of a made-up one looks like.
import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import { RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { FORM, toldIn } from './asking.ts';
import type { RunningGateway } from './gateway.ts';
import { type HeaderList, type LegacySession, openSession, resultOf, send, type Sent, stream } from './raw.ts';
import { sealer } from './stolen-states.ts';
import { until } from './status.ts';
import { callTool, identity, request, use, type Visitor } from './visitor.ts';

/** What came of using a handle, and of using one that never was; both without what differs between any two. */
export interface Tried {
  readonly stolen: unknown;
  readonly unknown: unknown;
}

export interface Handle {
  use(by: Visitor): Promise<Tried[]>;
  /** Its owner is done with it, or its time is over. */
  end(): Promise<void>;
  /** Fails unless its owner has what it always had. */
  intact(): Promise<void>;
}

export interface HandleKind {
  take(gateway: RunningGateway, owner: Visitor): Promise<Handle>;
  /** Whether a row of the log is the record of such a use. */
  recorded(row: JsonObject, by: Visitor): boolean;
}

/** The servers that handles are taken at: one of the SDK, modern, under `web`, one that asks, under `t`, and one with tasks, under `k`. */
const WAITS = 'web__wait_for_cancel';
const PUBLIC = 'web://text';
const CAPABILITIES = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };

const KNOWS_TASKS = {
  'io.modelcontextprotocol/clientCapabilities': {
    elicitation: { form: {} },
    extensions: { 'io.modelcontextprotocol/tasks': {} },
  },
};

const isCall = (row: JsonObject, { principal }: Visitor, method: string): boolean =>
  row.method === method && isObject(row.principal) && row.principal.id === principal;

const isRefusedSession = ({ event, detail }: JsonObject, { principal }: Visitor): boolean =>
  event === 'session_refused' && isObject(detail) && detail.principal === principal;

/** A handle that is the id of a session, used in one way. */
function sessionKind(way: (session: LegacySession, headers: HeaderList) => Sent): HandleKind {
  return {
    recorded: isRefusedSession,
    take: async (gateway, owner) => {
      const session = await openSession(gateway.origin, { headers: identity(owner) });
      const madeUp = { 'Mcp-Session-Id': randomBytes(24).toString('base64url') };
      return {
        use: async (by) => [
          {
            stolen: await use(gateway, { ...way(session, identity(by)), from: by.address }),
            unknown: await use(gateway, { ...way(session, { ...identity(by), ...madeUp }), from: by.address }),
          },
        ],
        end: async () => {
          await send(gateway.origin, session.delete());
        },
        intact: async () => {
          expect((await send(gateway.origin, session.request('ping'))).status).toBe(200);
          const standing = await stream(gateway.origin, session.get());
          expect(standing.status).toBe(200);
          standing.close();
        },
      };
    },
  };
}

/** The id of an event, with the session that it belongs to and, where somebody has one, with a session of the thief's. */
const lastEventId: HandleKind = {
  recorded: isRefusedSession,
  take: async (gateway, owner) => {
    const session = await openSession(gateway.origin, { headers: identity(owner) });
    const standing = await stream(gateway.origin, session.get());
    const event = await standing.firstId;
    standing.close();
    const [prefix = '', ...place] = event.split('-');
    const madeUp = [randomBytes(prefix.length / 2).toString('hex'), ...place].join('-');
    return {
      use: async (by) => {
        const headers = identity(by);
        const get = (own: LegacySession, more: HeaderList) =>
          use(gateway, { ...own.get({ ...headers, ...more }), from: by.address });
        const nobodys = { 'Mcp-Session-Id': randomBytes(24).toString('base64url') };
        const tried: Tried[] = [
          {
            stolen: await get(session, { 'Last-Event-ID': event }),
            unknown: await get(session, { 'Last-Event-ID': event, ...nobodys }),
          },
        ];
        const own = await openSession(gateway.origin, { headers }).catch(() => undefined); // who has no token has no session
        if (own)
          tried.push({
            stolen: await get(own, { 'Last-Event-ID': event }),
            unknown: await get(own, { 'Last-Event-ID': madeUp }),
          });
        return tried;
      },
      end: async () => {
        await send(gateway.origin, session.delete());
      },
      intact: async () => {
        const back = await stream(gateway.origin, session.get({ 'Last-Event-ID': event }));
        expect(back.status).toBe(200);
        back.close();
      },
    };
  },
};

/** A listener: its subscription id, and the resource that it follows, which only its owner was shown. */
const listener: HandleKind = {
  recorded: (row, by) => isCall(row, by, 'subscriptions/listen'),
  take: async (gateway, owner) => {
    const id = randomUUID();
    const secret = randomUUID();
    const uri = `private-web://${secret}`;
    const toucher: Visitor = { ...owner, address: '127.0.0.1' };
    let updates = 0;
    const touch = (touched: string) => {
      if (touched === uri) updates++;
      return send(gateway.origin, callTool(toucher, { name: 'web__touch', arguments: { uri: touched } }));
    };
    await send(gateway.origin, callTool(owner, { name: 'web__show_private', arguments: { secret } }));
    const follow = (by: Visitor, ...uris: string[]) =>
      stream(
        gateway.origin,
        request(by, {
          method: 'subscriptions/listen',
          params: { notifications: { resourceSubscriptions: uris } },
          id,
        }),
      );
    const own = await follow(owner, uri);
    await own.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
    let over = false;
    /** What somebody hears who follows a resource by its URI, beside one that everybody may follow. */
    const heard = async (by: Visitor, followed: string) => {
      const { status, inbox, close, ended, raw } = await follow(by, followed, PUBLIC);
      if (status !== 200) {
        await ended;
        return { status, text: raw() };
      }
      await inbox.find({ method: 'notifications/subscriptions/acknowledged' });
      await touch(followed);
      await touch(PUBLIC);
      await inbox.find({ method: 'notifications/resources/updated' });
      close();
      return JSON.parse(JSON.stringify(inbox.all).replaceAll(followed, 'the resource')) as unknown;
    };
    const cancel = (by: Visitor, requestId: string) =>
      use(gateway, request(by, { method: 'notifications/cancelled', params: { requestId } }));
    return {
      use: async (by) => [
        { stolen: await cancel(by, id), unknown: await cancel(by, randomUUID()) },
        // its owner may follow it anew
        ...(over ? [] : [{ stolen: await heard(by, uri), unknown: await heard(by, `private-web://${randomUUID()}`) }]),
      ],
      end: async () => {
        over = true;
        own.close();
        await own.ended;
      },
      intact: async () => {
        await touch(uri);
        for (let told = 0; told < updates; told++)
          expect(await own.inbox.next()).toMatchObject({ method: 'notifications/resources/updated', params: { uri } });
      },
    };
  },
};

/** What a client carries from one round of questions to the next. */
const requestState: HandleKind = {
  recorded: (row, by) => isCall(row, by, 'tools/call') && row.status === 'refused' && row.error === 'invalid_params',
  take: async (gateway, owner) => {
    const params = { name: 't__form', arguments: { of: randomUUID() } };
    const ask = (by: Visitor, more: JsonObject) => callTool(by, { ...params, ...more }, CAPABILITIES);
    const first = resultOf(await send(gateway.origin, ask(owner, {})));
    expect(first.inputRequests).toMatchObject({ q1: { params: { message: FORM.message } } });
    let state = first.requestState as string;
    const answered = (by: Visitor, given: string) =>
      ask(by, { requestState: given, inputResponses: { q1: { action: 'accept', content: { name: 'Ada' } } } });
    return {
      use: async (by) => {
        const madeUp = `${state.slice(0, state.indexOf('.') + 1)}${randomBytes(100).toString('base64url')}`;
        return [{ stolen: await use(gateway, answered(by, state)), unknown: await use(gateway, answered(by, madeUp)) }];
      },
      end: () => {
        const states = new RequestStates(new Keyring(gateway.state));
        const seal = sealer({ params }, 't', owner.principal);
        const expired = seal.again(states, { ...seal.inside(states, state), until: Date.now() - 1 });
        state = expired.params.requestState as string;
        return Promise.resolve();
      },
      intact: async () =>
        expect(toldIn(resultOf(await send(gateway.origin, answered(owner, state))))).toMatchObject({
          action: 'accept',
        }),
    };
  },
};

/** The token by which a running call hears of its progress. */
const progressToken: HandleKind = {
  recorded: (row, by) => isCall(row, by, 'tools/call'),
  take: async (gateway, owner) => {
    const token = randomUUID();
    const call = { name: WAITS, arguments: { label: randomUUID() } };
    const own = await stream(gateway.origin, callTool(owner, call, { progressToken: token }));
    await own.inbox.find({ method: 'notifications/progress' });
    /** What comes of telling progress by a token, and of calling with it. */
    const tried = async (by: Visitor, used: string) => {
      const told = await use(
        gateway,
        request(by, { method: 'notifications/progress', params: { progressToken: used, progress: 2 } }),
      );
      const slow = { name: 'web__slow', arguments: { ms: 2, steps: 2 } };
      const events = await stream(gateway.origin, callTool(by, slow, { progressToken: used }));
      await events.ended;
      return { told, status: events.status, text: events.raw().replaceAll(used, 'the token') };
    };
    return {
      use: async (by) => [{ stolen: await tried(by, token), unknown: await tried(by, randomUUID()) }],
      end: async () => {
        own.close();
        await own.ended;
      },
      intact: async () => {
        expect(own.inbox.all).toHaveLength(1); // the one of its own call
        own.close();
        await own.ended;
      },
    };
  },
};

/** A task at a modern server, asked about, answered, cancelled and listened to. */
const taskId: HandleKind = {
  recorded: (row, by) => isCall(row, by, 'tasks/get') && row.status === 'refused' && row.error === 'unknown_task',
  take: async (gateway, owner) => {
    const begin = async (name: string, args: JsonObject) => {
      const call = callTool(owner, { name: `k__${name}`, arguments: args }, KNOWS_TASKS);
      return resultOf(await send(gateway.origin, call)).taskId as string;
    };
    const about = (by: Visitor, method: string, params: JsonObject) =>
      request(by, { method, params, id: 'same', meta: KNOWS_TASKS });
    const get = (by: Visitor, id: string) => use(gateway, about(by, 'tasks/get', { taskId: id }));
    let id = await begin('confirm_delete', { filename: randomUUID() });
    const tried = async (by: Visitor, used: string) => {
      const inputResponses = { confirmed: { action: 'accept', content: { confirm: true } } };
      const heard = await stream(
        gateway.origin,
        about(by, 'subscriptions/listen', { notifications: { taskIds: [used] } }),
      );
      const acknowledged = heard.status === 200 ? await heard.inbox.next() : (await heard.ended, heard.raw());
      heard.close();
      return {
        get: await get(by, used),
        update: await use(gateway, about(by, 'tasks/update', { taskId: used, inputResponses })),
        cancel: await use(gateway, about(by, 'tasks/cancel', { taskId: used })),
        listen: { status: heard.status, acknowledged },
      };
    };
    return {
      use: async (by) => {
        const madeUp = `${id.slice(0, id.indexOf('.') + 1)}${randomBytes(120).toString('base64url')}`;
        return [{ stolen: await tried(by, id), unknown: await tried(by, madeUp) }];
      },
      end: async () => {
        id = await begin('brief_job', { ttl: 1 });
        await until(
          () => get(owner, id),
          ({ text }) => text.includes('-32602'),
        );
      },
      intact: async () => expect((await get(owner, id)).text).toContain('"status":"input_required"'),
    };
  },
};

/** By the name of the column (security-reliability.md, B-15). */
export const HANDLES: Readonly<Record<string, HandleKind>> = {
  'POST on a session': sessionKind((session, headers) => session.request('tools/list', {}, { headers })),
  'GET of its stream': sessionKind((session, headers) => session.get(headers)),
  'DELETE of it': sessionKind((session, headers) => session.delete(headers)),
  'Last-Event-ID': lastEventId,
  'subscriptions/listen': listener,
  'tasks/get': taskId,
  requestState,
  progressToken,
};
