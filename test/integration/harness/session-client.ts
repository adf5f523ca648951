// A legacy client over HTTP with its standing stream open: it calls, is asked, and hears news.
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import { type EventStream, type Inbox, type LegacySession, openSession, send, stream } from './raw.ts';

/** What `facts` of private-stdio.ts tells of the process. */
export interface Facts {
  /** Names the process. */
  readonly self: string;
  readonly capabilities: JsonObject;
  readonly level: string | null;
  readonly roots: JsonObject | null;
  readonly rootsChanges: number;
  readonly subscribed: readonly string[];
}

export interface ClientOptions {
  readonly token?: string;
  readonly capabilities?: JsonObject;
  readonly path?: string;
}

export interface StartedCall {
  /** What came ahead of the answer, if it came as a stream. */
  readonly inbox: Inbox;
  /** The text of the answer, or its error as JSON. */
  readonly text: Promise<string>;
}

/** One session and everything that it hears outside of its calls. */
export class SessionClient {
  readonly session: LegacySession;
  readonly news: EventStream;
  private readonly origin: string;
  private last = 100;

  static async open(origin: string, options: ClientOptions = {}): Promise<SessionClient> {
    const { token, capabilities = {}, path = '/mcp' } = options;
    const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const session = await openSession(origin, { path, capabilities, headers });
    return new SessionClient(origin, session, await stream(origin, session.get()));
  }

  private constructor(origin: string, session: LegacySession, news: EventStream) {
    this.origin = origin;
    this.session = session;
    this.news = news;
  }

  /** Sends a request and resolves with its result or error. */
  async request(method: string, params: JsonObject = {}): Promise<JsonObject> {
    const id = ++this.last;
    const answer = await stream(this.origin, this.session.request(method, params, { id }));
    return answerOf(answer, id);
  }

  /** Begins to call a tool. */
  async start(name: string, args: JsonObject = {}, id = ++this.last): Promise<StartedCall> {
    const answer = await stream(this.origin, this.session.request('tools/call', { name, arguments: args }, { id }));
    const text = answerOf(answer, id).then(textOf);
    text.catch(() => undefined); // a call that is given up has none
    return { inbox: answer.inbox, text };
  }

  async call(name: string, args: JsonObject = {}): Promise<string> {
    return (await this.start(name, args)).text;
  }

  async facts(server: string): Promise<Facts> {
    return JSON.parse(await this.call(`${server}__facts`)) as Facts;
  }

  async tools(): Promise<string[]> {
    const { tools } = (await this.request('tools/list')) as { tools?: { name: string }[] };
    return (tools ?? []).map(({ name }) => name);
  }

  async answer(question: JsonObject, result: JsonObject): Promise<void> {
    await send(this.origin, this.session.post(JSON.stringify({ jsonrpc: '2.0', id: question.id, result })));
  }

  async notify(method: string, params: JsonObject = {}): Promise<void> {
    await send(this.origin, this.session.notification(method, params));
  }

  /** How often a method was heard of on the standing stream. */
  heard(method: string): number {
    return this.news.inbox.all.filter((message) => message.method === method).length;
  }

  async end(): Promise<void> {
    await send(this.origin, this.session.delete());
  }
}

/** The stream of a call ends with its answer; whoever called may take from its inbox meanwhile. */
async function answerOf(answer: EventStream, id: number): Promise<JsonObject> {
  await answer.ended;
  const isStream = answer.headers['content-type']?.startsWith('text/event-stream') === true;
  const all = isStream ? answer.inbox.all : [JSON.parse(answer.raw()) as JsonObject];
  const message = all.find((each) => each.id === id && !('method' in each));
  if (!message) throw new Error(`the call got no answer: ${answer.raw()}`);
  return isObject(message.result) ? message.result : { error: message.error ?? null };
}

function textOf(result: JsonObject): string {
  const content = result.content as { text?: string }[] | undefined;
  return content?.[0]?.text ?? JSON.stringify(result.error);
}
