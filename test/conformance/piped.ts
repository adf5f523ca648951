// A server process on a pipe, whose messages find their way to the requests that they belong to; for the suite, which speaks HTTP alone.
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { SUBSCRIPTION_ID_META_KEY, type Transport } from '@modelcontextprotocol/server';
import { isObject, type JsonObject } from '../../src/core/json.ts';

export type Command = ConstructorParameters<typeof StdioClientTransport>[0];
export type Send = (message: JsonObject) => void;

const isAnswer = (message: JsonObject): boolean => 'id' in message && !('method' in message);

/** The id of the listen that a message is for. */
function listenOf({ params }: JsonObject): unknown {
  return isObject(params) && isObject(params._meta) ? params._meta[SUBSCRIPTION_ID_META_KEY] : undefined;
}

export class Piped {
  readonly #transport: StdioClientTransport;
  readonly #started: Promise<void>;
  /** Who takes what belongs to a request in flight, by its id. */
  readonly #calls = new Map<unknown, Send>();
  readonly #listens = new Map<unknown, Send>();

  /** Starts the process; `other` takes what belongs to no request. */
  constructor(command: Command, other: Send) {
    this.#transport = new StdioClientTransport(command);
    this.#transport.onmessage = (message) => this.#take(message as object as JsonObject, other);
    this.#started = this.#transport.start();
  }

  /** Sends a message; what comes back for it, if it is a request, goes to `answer`. */
  send(message: JsonObject, answer: Send): void {
    if ('id' in message && 'method' in message) {
      const kept = message.method === 'subscriptions/listen' ? this.#listens : this.#calls;
      if (kept.has(message.id)) throw new Error(`two requests in flight have the id ${JSON.stringify(message.id)}`);
      kept.set(message.id, answer);
    }
    this.#write(message);
  }

  /** Ends a listen whose client left. */
  leave(id: JsonObject['id']): void {
    if (id === undefined || !this.#listens.delete(id)) return;
    this.#write({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #write(message: JsonObject): void {
    const sent = this.#started.then(() => this.#transport.send(message as object as Parameters<Transport['send']>[0]));
    sent.catch((error: unknown) => process.stderr.write(`the pipe failed: ${String(error)}\n`));
  }

  #take(message: JsonObject, other: Send): void {
    const { id } = message;
    if (!isAnswer(message)) {
      (this.#listens.get(listenOf(message)) ?? this.#callOf(message) ?? other)(message);
      return;
    }
    this.#calls.get(id)?.(message);
    this.#listens.get(id)?.(message);
    this.#calls.delete(id);
    this.#listens.delete(id);
  }

  /** A pipe does not say to which request a message belongs; where one is in flight alone, it is that one. */
  #callOf({ method }: JsonObject): Send | undefined {
    const ofAll = JSON.stringify(method).includes('list_changed') || this.#calls.size !== 1;
    return ofAll ? undefined : [...this.#calls.values()][0];
  }
}
