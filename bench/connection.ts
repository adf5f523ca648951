// One raw keep-alive HTTP/1.1 connection that costs the load generator as little as possible.
import { connect, type Socket } from 'node:net';

/** A whole HTTP response. */
export interface HttpAnswer {
  readonly status: number;
  /** Status line and headers as they came. */
  readonly head: string;
  readonly body: string;
}

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

const PATIENCE_MS = 15_000;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** Puts the chunks of a chunked body together, or gives undefined while the last has not come. */
function dechunk(from: Buffer): { body: Buffer; length: number } | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const line = from.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(from.toString('latin1', at, line), 16);
    const start = line + 2;
    if (from.length < start + size + 2) return undefined;
    at = start + size + 2;
    if (size === 0) return { body: Buffer.concat(parts), length: at };
    parts.push(from.subarray(start, start + size));
  }
}

/** A connection that carries one request at a time. */
export class Connection {
  readonly #socket: Socket;
  readonly #host: string;
  #received: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`No answer within ${PATIENCE_MS} ms`)));
    socket.on('close', () => this.#fail(new Error('The connection was closed before the answer')));
  }

  /** Opens a connection to the host of the URL. */
  static async open(url: URL): Promise<Connection> {
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Connection(socket, url.host);
  }

  /** Sends one request; rejects if the connection ends before the whole answer. */
  send(start: string, headers: string, body: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const length = Buffer.byteLength(body);
      this.#socket.write(
        `${start} HTTP/1.1\r\nHost: ${this.#host}\r\n${headers}Content-Length: ${length}\r\n\r\n${body}`,
      );
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const start = end + END_OF_HEAD.length;
    const taken = /\r\ntransfer-encoding: *chunked/i.test(head)
      ? dechunk(this.#received.subarray(start))
      : this.#sized(head, start);
    if (!taken) return;
    this.#received = this.#received.subarray(start + taken.length);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), head, body: taken.body.toString('utf8') });
  }

  #sized(head: string, start: number): { body: Buffer; length: number } | undefined {
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#received.length < start + length) return undefined;
    return { body: this.#received.subarray(start, start + length), length };
  }
}
