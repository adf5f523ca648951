// Python's client as the features see it: clients/python.py does what is written to it, and tells what it hears.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Client } from '@modelcontextprotocol/client';
import type { JsonObject } from '../../../src/core/json.ts';
import { commandOf, type Place } from '../../integration/harness/clients.ts';
import { MatrixClient } from '../../integration/matrix/client.ts';
import { bounded, unhurried } from '../../integration/matrix/heard.ts';

const SCRIPT = join(import.meta.dirname, 'clients/python.py');

/** A line of clients/python.py. */
interface Said {
  readonly connected?: boolean;
  readonly id?: number;
  readonly result?: JsonObject;
  readonly error?: { readonly code: number | null; readonly message: string };
  readonly notice?: string;
  readonly question?: number;
  readonly method?: string;
  readonly params?: JsonObject;
}

/** A client of the Python SDK that `python` runs. */
export interface PythonClient {
  readonly python: string;
  readonly modern: boolean;
}

/** Connects; throws what Python says. */
export async function connectPython({ python, modern }: PythonClient, place: Place): Promise<MatrixClient> {
  const mode = modern ? 'auto' : 'legacy';
  const child = spawn(python, [SCRIPT, mode, ...targetOf(place)], { stdio: ['pipe', 'pipe', 'pipe'] });
  const sdk = new PythonSdk(child);
  const client = new MatrixClient(sdk as unknown as Client, modern);
  await unhurried(sdk.connect(client), 'a connection').catch(async (error: unknown) => {
    await sdk.close();
    throw error;
  });
  return client;
}

function targetOf(place: Place): string[] {
  if ('url' in place) return [place.url];
  const { command, args } = commandOf(place);
  return [command, ...args];
}

/** The calls of an SDK that features make, each done by the process. */
class PythonSdk {
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;
  private readonly waiting = new Map<number, PromiseWithResolvers<JsonObject>>();
  private last = 0;
  private errors = '';

  constructor(child: ChildProcess) {
    this.child = child;
    this.exited = once(child, 'exit');
    child.stderr!.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    child.stdin!.on('error', () => undefined); // who waits is told when the process ends
  }

  async connect(client: MatrixClient): Promise<void> {
    const connected = Promise.withResolvers<undefined>();
    createInterface(this.child.stdout!).on('line', (line) => {
      const said = JSON.parse(line) as Said;
      if (said.connected) connected.resolve(undefined);
      else this.hear(client, said);
    });
    void this.exited.then(() => {
      const error = new Error(`the client ended: ${this.errors.trim().split('\n').slice(-3).join(' ')}`);
      connected.reject(error);
      for (const { reject } of this.waiting.values()) reject(error);
    });
    await connected.promise;
  }

  readonly listTools = () => this.ask('tools/list');
  readonly listResources = () => this.ask('resources/list');
  readonly listResourceTemplates = () => this.ask('resources/templates/list');
  readonly listPrompts = () => this.ask('prompts/list');
  readonly readResource = (params: JsonObject) => this.ask('resources/read', params);
  readonly getPrompt = (params: JsonObject) => this.ask('prompts/get', params);
  readonly complete = (params: JsonObject) => this.ask('completion/complete', params);
  readonly setLoggingLevel = (level: string) => this.ask('logging/setLevel', { level });
  readonly notification = ({ method }: { method: string }) => this.ask(method);
  readonly callTool = (params: JsonObject, { signal }: { signal?: AbortSignal } = {}) =>
    this.ask('tools/call', params, signal);

  async close(): Promise<void> {
    this.child.stdin!.end();
    await bounded(this.exited, 'the end of the client').catch(() => this.child.kill('SIGKILL'));
  }

  private async ask(method: string, params: JsonObject = {}, signal?: AbortSignal): Promise<JsonObject> {
    const id = ++this.last;
    const answer = Promise.withResolvers<JsonObject>();
    this.waiting.set(id, answer);
    signal?.addEventListener('abort', () => {
      this.say({ cancel: id });
      answer.reject(new Error('aborted'));
    });
    this.say({ id, method, params });
    return await bounded(answer.promise, `the answer to ${method}`);
  }

  private hear(client: MatrixClient, { id, result, error, notice, question, method, params = {} }: Said): void {
    if (notice !== undefined) client.heard.add({ method: notice, params });
    else if (question !== undefined) this.say({ answer: question, result: client.answer(method!, params) });
    else if (result) this.waiting.get(id!)?.resolve(result);
    else this.waiting.get(id!)?.reject(Object.assign(new Error(error?.message), { code: error?.code }));
  }

  private say(message: object): void {
    this.child.stdin!.write(`${JSON.stringify(message)}\n`);
  }
}
