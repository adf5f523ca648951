// A fake HTTP response that keeps what is written in a list.
import { EventEmitter } from 'node:events';

/** The parts of an HTTP response that an event stream uses. */
export class Wire extends EventEmitter {
  readonly written: string[] = [];
  writableEnded = false;
  destroyed = false;
  readonly writableLength = 0;
  writeHead = () => this;
  flushHeaders = () => undefined;
  setTimeout = () => this;
  write(text: string): boolean {
    this.written.push(text);
    return true;
  }
  end(text?: string): void {
    if (text !== undefined) this.written.push(text);
    this.writableEnded = true;
    this.emit('close');
  }
  /** Closes the connection, as a client that disconnects. */
  lose(): void {
    this.destroyed = true;
    this.emit('close');
  }
  get ids(): string[] {
    return this.written.flatMap((text) => /^id: .*-(\d+)$/m.exec(text)?.[1] ?? []);
  }
}
