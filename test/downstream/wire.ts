// A response that is written into a list.
import { EventEmitter } from 'node:events';

/** As much of an HTTP response as a stream of events needs. */
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
  /** The client goes away. */
  lose(): void {
    this.destroyed = true;
    this.emit('close');
  }
  get ids(): string[] {
    return this.written.flatMap((text) => /^id: .*-(\d+)$/m.exec(text)?.[1] ?? []);
  }
}
