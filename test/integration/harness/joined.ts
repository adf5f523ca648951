// Several `mcp-gateway stdio` on one state directory: which one owns it, and what their clients do.
import { readRunInfo } from '../../../src/storage/state-directory.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { attempted } from './gateway.ts';
import { initialize, openPipe, type RawPipe } from './raw.ts';

interface Place {
  readonly config: string;
  readonly state: string;
}

/** The process that owns the state directory, as it says itself. */
export function ownerPid({ state }: Place): number | undefined {
  return readRunInfo(state)?.pid;
}

/** Starts pipes at the same moment, each with a session; resolves when all are agreed on and the servers are met. */
export async function openSessions(place: Place, count: number): Promise<RawPipe[]> {
  const pipes = await Promise.all(Array.from({ length: count }, () => openSession(place)));
  await attempted(place);
  return pipes;
}

/** Starts a pipe with a session. */
export async function openSession(place: Place): Promise<RawPipe> {
  const pipe = openPipe(place);
  pipe.line(initialize('2025-11-25', 'init'));
  await pipe.inbox.find({ id: 'init' });
  pipe.notify('notifications/initialized');
  return pipe;
}

/** Tells the owner's pipe from those that joined it. */
export function split(place: Place, pipes: readonly RawPipe[]): { owner: RawPipe; joined: RawPipe[] } {
  const pid = ownerPid(place);
  const owner = pipes.find(({ process }) => process.pid === pid);
  if (!owner) throw new Error(`none of the pipes is the owner ${String(pid)}`);
  return { owner, joined: pipes.filter((pipe) => pipe !== owner) };
}

let asked = 0;

/** Asks and reads the answer. */
export async function ask(pipe: RawPipe, method: string, params: JsonObject = {}): Promise<JsonObject> {
  const id = `ask-${++asked}`;
  pipe.request(id, method, params);
  return pipe.inbox.find({ id });
}

/** Calls a tool; its text, or the reason of its error. */
export async function call(pipe: RawPipe, name: string, args: JsonObject = {}): Promise<string> {
  return outcomeOf(await ask(pipe, 'tools/call', { name, arguments: args }));
}

/** The text of a tool's answer, or the reason of its error. */
export function outcomeOf(answer: JsonObject): string {
  const { result, error } = answer as {
    result?: { content: { text: string }[] };
    error?: { message: string; data?: { reason?: string } };
  };
  return result?.content[0]?.text ?? error?.data?.reason ?? error?.message ?? '';
}
