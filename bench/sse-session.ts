// A session of HTTP+SSE as the load generator holds it: messages go out by POST, every answer comes on the one stream.
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { isObject, type JsonObject } from '../src/core/json.ts';
import { Connection } from './connection.ts';

const JSON_BODY = 'Content-Type: application/json\r\n';
const PATIENCE_MS = 15_000;

/** One session with one message under way at a time. */
export class SseSession {
  private readonly connection: Connection;
  private readonly stream: IncomingMessage;
  private readonly path: string;
  private waiting: ((message: JsonObject) => void) | undefined;

  private constructor(connection: Connection, stream: IncomingMessage, path: string) {
    this.connection = connection;
    this.stream = stream;
    this.path = path;
  }

  /** Opens the stream and waits for the address of messages. */
  static async open(url: URL): Promise<SseSession> {
    const request = get(url, { headers: { accept: 'text/event-stream' }, agent: false });
    const [stream] = (await once(request, 'response')) as [IncomingMessage];
    stream.setEncoding('utf8');
    const events = eventsOf(stream);
    const path = await events.next();
    const session = new SseSession(await Connection.open(url), stream, String(path.value));
    void session.listen(events);
    return session;
  }

  /** Sends a message and waits for the answer with its id. */
  async request(id: number, body: string): Promise<JsonObject> {
    const answered = new Promise<JsonObject>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`No answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      this.waiting = (message) => {
        if (message.id !== id) return;
        clearTimeout(late);
        resolve(message);
      };
    });
    await this.notify(body);
    return answered;
  }

  async notify(body: string): Promise<void> {
    const { status } = await this.connection.send(`POST ${this.path}`, JSON_BODY, body);
    if (status !== 202) throw new Error(`A message was answered with HTTP ${status}`);
  }

  close(): void {
    this.stream.destroy();
    this.connection.close();
  }

  private async listen(events: AsyncGenerator<string>): Promise<void> {
    try {
      for await (const data of events) {
        const message: unknown = data.startsWith('{') ? JSON.parse(data) : undefined;
        if (isObject(message)) this.waiting?.(message);
      }
    } catch {
      // the stream was closed with the session, or broke: then the answer that is waited for does not come
    }
  }
}

/** The data of each event; JSON-RPC never holds a raw line break. */
async function* eventsOf(stream: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: ')) yield line.slice('data: '.length);
  }
}
