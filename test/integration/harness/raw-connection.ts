// One socket that speaks HTTP/1.1 by hand, as cheap as a client can be.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A whole answer; header names are in lower case. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One kept-alive HTTP/1.1 connection, one request at a time. */
export class RawConnection {
  private readonly socket: Socket;
  private received = '';

  constructor(url: URL) {
    this.socket = connect(Number(url.port), url.hostname);
    this.socket.setMaxListeners(0); // every wait for an answer listens, and none is told of an error that never comes
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk: string) => (this.received += chunk));
  }

  async write(text: string): Promise<void> {
    if (this.socket.connecting) await once(this.socket, 'connect');
    this.socket.write(text);
  }

  async firstByte(): Promise<void> {
    await this.until(() => this.received !== '');
  }

  /** Reads the status line and the headers. */
  async head(): Promise<Omit<RawAnswer, 'body'>> {
    await this.until(() => this.received.includes('\r\n\r\n'));
    const end = this.received.indexOf('\r\n\r\n');
    const [first = '', ...lines] = this.received.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    this.received = this.received.slice(end + 4);
    return { status: Number(first.split(' ')[1]), headers };
  }

  async answer(): Promise<RawAnswer> {
    const { status, headers } = await this.head();
    const chunked = headers.get('transfer-encoding') === 'chunked';
    const body = chunked ? await this.chunks() : await this.bytes(Number(headers.get('content-length') ?? 0));
    return { status, headers, body };
  }

  /** The JSON texts of all events that came on a stream which is still open. */
  events(): string[] {
    return eventTexts(this.received);
  }

  close(): void {
    this.socket.destroy();
  }

  private async chunks(): Promise<string> {
    let body = '';
    for (;;) {
      await this.until(() => this.received.includes('\r\n'));
      const line = this.received.indexOf('\r\n');
      const size = parseInt(this.received.slice(0, line), 16);
      this.received = this.received.slice(line + 2);
      body += (await this.bytes(size + 2)).slice(0, size);
      if (size === 0) return body;
    }
  }

  private async bytes(count: number): Promise<string> {
    await this.until(() => this.received.length >= count);
    const bytes = this.received.slice(0, count);
    this.received = this.received.slice(count);
    return bytes;
  }

  private async until(met: () => boolean): Promise<void> {
    while (!met()) {
      if (this.socket.destroyed || this.socket.readableEnded)
        throw new Error(`the connection ended after ${this.received}`);
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
  }
}

/** The JSON objects in a body of events. */
export function eventTexts(body: string): string[] {
  return body.split('\n').flatMap((line) => (line.startsWith('data: {') ? [line.slice(6).trimEnd()] : []));
}
