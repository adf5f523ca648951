// Reaching the gateway of a state directory: the one that runs there, or one that is started inside for as long as it is needed.
import type { Duplex } from 'node:stream';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type ControlRequest, proveControl } from '../identity/control-proof.ts';
import { controlKeyFile, readControlKey } from '../storage/control-key.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import { reasonOf } from '../core/errors.ts';
import { StateError } from '../storage/state-error.ts';
import { STDIO_UPGRADE } from '../downstream/control-protocol.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import type { Invocation } from './options.ts';
import { say } from './output.ts';
import type { RunningGateway } from './run-gateway.ts';
import { LONGEST_END_MS, untilSignal } from './signals.ts';
import { stateDirectoryOf } from './state-directory.ts';

/** How long an owner that is just starting may take to open its socket, and one that is ending to let go of the state directory. */
const PATIENCE_MS = LONGEST_END_MS;

const RETRY_MS = 50;
/** An owner that does not even say that it lives is stuck: then the lock says who it is. */
const PROBE_MS = 3_000;

/** The control socket of a state directory, and where its key is. */
export interface ControlSocket {
  readonly path: string;
  readonly directory: string;
}

export interface Attached {
  readonly socket: ControlSocket;
  /** The gateway, where it runs inside this process. */
  readonly inside: RunningGateway | undefined;
  detach(): Promise<void>;
}

/**
 * Joins the owner of the state directory, or becomes it. Of two that start together one owns and the other joins: the loser of the lock
 * tries the socket again. Throws StateError where the directory cannot be used, AbortError when the signal aborts.
 */
export async function attachToOwner(invocation: Invocation, signal?: AbortSignal): Promise<Attached> {
  const stateDirectory = stateDirectoryOf(invocation);
  const socket = { path: controlSocketPath(stateDirectory), directory: stateDirectory };
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    signal?.throwIfAborted();
    if (await answers(socket)) return { socket, inside: undefined, detach: () => Promise.resolve() };
    try {
      const inside = await (await import('./become-owner.ts')).becomeOwner(invocation, stateDirectory); // loaded by owners alone
      return { socket, inside, detach: () => inside.stop() };
    } catch (error) {
      const taken = error instanceof StateError && error.reason === 'in_use';
      if (!taken || performance.now() > until) throw error;
      await delay(RETRY_MS, undefined, { ...(signal && { signal }) });
    }
  }
}

/** The gateway that a command works on, and what ends waiting for it. */
export interface Reached {
  readonly socket: ControlSocket;
  readonly signal: AbortSignal;
  /** Resolves when every server has been tried once, however long that takes; a gateway that ran before has had the time. */
  attempted(): Promise<void>;
}

/** Does the work of a command on a gateway, and leaves it; a signal ends the work with the status of that signal. */
export async function withGateway(
  invocation: Invocation,
  work: (gateway: Reached) => Promise<number>,
): Promise<number> {
  const left = new AbortController();
  const ended = untilSignal();
  const { socket, inside, detach } = await attachToOwner(invocation);
  if (inside) say('no gateway runs on this state; the servers are started for this command alone');
  try {
    const attempted = () => inside?.gateway.attempted() ?? Promise.resolve();
    // a gateway that was started for this command has yet to meet its servers
    const met = inside ? import('./meeting.ts').then(({ meet }) => meet(inside.gateway)) : Promise.resolve();
    const done = met.then(() => work({ socket, signal: left.signal, attempted }));
    return await Promise.race([ended, done, ...(inside ? [failOnLoss(inside)] : [])]);
  } finally {
    left.abort();
    await detach();
  }
}

/** Rejects when the gateway has lost its state directory. */
async function failOnLoss({ lost }: RunningGateway): Promise<never> {
  throw await lost;
}

/** Whether an owner is there. Throws ExitError where it is, but does not take our key: waiting would change nothing. */
async function answers(socket: ControlSocket): Promise<boolean> {
  try {
    return (await ask(socket, { path: '/livez', signal: AbortSignal.timeout(PROBE_MS) })).status === 200;
  } catch (error) {
    if (error instanceof ExitError && error.status === EXIT.auth) throw error;
    return false; // nobody is there, or nobody answers any more: the lock decides
  }
}

export interface Question {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One request over the control socket. Throws ExitError where the gateway goes away, refuses our key, or the signal aborts. */
export async function ask(socket: ControlSocket, question: Question): Promise<Answer> {
  const key = readControlKey(socket.directory);
  const answer = await exchange(socket.path, question, key);
  if (answer.status !== REFUSED) return answer;
  // an owner that has just started made a new key, perhaps after ours was read; what is refused was not done
  const newer = readControlKey(socket.directory);
  const again = newer && !(key && newer.equals(key)) ? await exchange(socket.path, question, newer) : answer;
  if (again.status !== REFUSED) return again;
  throw new ExitError(EXIT.auth, keyRefused(socket.directory, newer));
}

/** The control socket refuses nothing for another reason with this status: who proves the key is \`local\`. */
const REFUSED = 401;

function keyRefused(directory: string, key: Buffer | undefined): string {
  const file = controlKeyFile(directory);
  const what = key
    ? `${file} does not hold the key that the gateway made at its start`
    : `${file} is missing, damaged, or cannot be read`;
  return `the gateway that runs on ${directory} refuses this command: ${what}. Restart that gateway: it makes a new key.`;
}

function exchange(socketPath: string, question: Question, key: Buffer | undefined): Promise<Answer> {
  const { path, method = 'GET', body, signal } = question;
  const headers = { ...question.headers, ...headersOf(key, { method, url: path }) };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(new ExitError(EXIT.unreachable, `the gateway did not answer: ${reasonOf(error)}. Try again.`));
    const request = httpRequest(
      { socketPath, path, method, headers, ...(signal && { signal }) },
      (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', fail);
      },
    );
    request.on('error', fail);
    request.end(body);
  });
}

/** Headers of every request: without a key it is sent all the same, and the owner says what it wants. */
function headersOf(key: Buffer | undefined, request: ControlRequest): Record<string, string> {
  return { host: 'localhost', ...(key && { authorization: proveControl(key, request) }) };
}

/** A bare stream of MCP lines to the owner of the state directory, or the gateway where this process has become the owner. */
export type Joined =
  | { readonly stream: Duplex; readonly inside?: undefined }
  | { readonly inside: RunningGateway; readonly stream?: undefined };

/** As `attach`, for a stdio client. Throws ExitError too, where the owner is ending and does not end, or is of another version. */
export async function joinStdio(invocation: Invocation, signal: AbortSignal): Promise<Joined> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const { inside, socket } = await attachToOwner(invocation, signal);
    if (inside) return { inside };
    const stream = await openStream(socket);
    if (stream) return { stream };
    if (performance.now() > until)
      throw new ExitError(
        EXIT.unreachable,
        'the gateway that runs on this state directory is ending, but does not end.',
      );
    await delay(RETRY_MS, undefined, { signal });
  }
}

/** Opens the stream; undefined where the owner is ending or has ended, or is another one than the one whose key was read. */
function openStream({ path: socketPath, directory }: ControlSocket): Promise<Duplex | undefined> {
  const proof = headersOf(readControlKey(directory), { method: 'GET', url: '/' });
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      socketPath,
      path: '/',
      headers: { ...proof, connection: 'Upgrade', upgrade: STDIO_UPGRADE },
    });
    request.on('upgrade', (_response, stream, head) => {
      if (head.length > 0) stream.unshift(head);
      resolve(stream);
    });
    request.on('response', (response) => {
      response.resume();
      if (response.statusCode === 503 || response.statusCode === REFUSED) resolve(undefined);
      else
        reject(
          new ExitError(
            EXIT.unreachable,
            'the gateway that runs on this state directory is of another version; restart it.',
          ),
        );
    });
    request.on('error', () => resolve(undefined));
    request.end();
  });
}
