// Reaches the gateway of a state directory: the owner that runs, or a gateway that the command runs inside itself.
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { type ControlRequest, proveControl } from '../identity/control-proof.ts';
import { controlKeyFile, readControlKey } from '../storage/control-key.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import { reasonOf } from '../core/errors.ts';
import { request as httpRequest } from '../core/node-http.ts';
import { StateError } from '../storage/state-error.ts';
import { STDIO_UPGRADE } from '../downstream/control-protocol.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import type { Invocation } from './options.ts';
import { say } from './output.ts';
import type { RunningGateway } from './run-gateway.ts';
import { untilSignal } from './signals.ts';
import { stateDirectoryOf } from './state-directory.ts';

/** The control socket of a state directory, and the directory, which has the key. */
export interface ControlSocket {
  readonly path: string;
  readonly directory: string;
}

/** The owner that a command works with; `inside`: the gateway, if it runs inside this process. */
interface Attached {
  readonly socket: ControlSocket;
  readonly inside?: RunningGateway;
}

/**
 * Joins the owner of the state directory, or becomes it. If two processes start together, one gets the lock, and the other tries the socket
 * again and joins. Throws StateError if the directory cannot be used, AbortError when the signal aborts.
 */
async function attachToOwner(invocation: Invocation, signal: AbortSignal): Promise<Attached> {
  const stateDirectory = stateDirectoryOf(invocation);
  const socket = { path: controlSocketPath(stateDirectory), directory: stateDirectory };
  const until = performance.now() + BOUNDS.processEndTime;
  for (;;) {
    signal.throwIfAborted();
    if (await hasOwner(socket)) return { socket };
    try {
      const { becomeOwner } = await import('./run-gateway.ts'); // only owners load it
      return { socket, inside: await becomeOwner(invocation, stateDirectory) };
    } catch (error) {
      const inUse = error instanceof StateError && error.reason === 'in_use';
      if (!inUse || performance.now() > until) throw error;
      await delay(BOUNDS.ownerRetryPause, undefined, { signal });
    }
  }
}

/** The gateway that a command works on. */
export interface Reached {
  readonly socket: ControlSocket;
  /** Aborts when the command ends. */
  readonly signal: AbortSignal;
  /** Resolves when every server has been tried once; at once for a gateway that ran before the command. */
  attempted(): Promise<void>;
}

/** Does the work of a command on a gateway, then leaves the gateway. A process signal ends the work with the exit status of that signal. */
export async function withGateway(
  invocation: Invocation,
  work: (gateway: Reached) => Promise<number>,
): Promise<number> {
  const leaving = new AbortController();
  const signalled = untilSignal();
  const { socket, inside } = await attachToOwner(invocation, leaving.signal);
  if (inside) say('no gateway runs on this state; the servers are started for this command alone');
  try {
    const attempted = () => inside?.gateway.attempted() ?? Promise.resolve();
    const met = inside ? import('./meeting.ts').then(({ meet }) => meet(inside.gateway)) : Promise.resolve();
    const done = met.then(() => work({ socket, signal: leaving.signal, attempted }));
    return await Promise.race([signalled, done, ...(inside ? [failOnLoss(inside)] : [])]);
  } finally {
    leaving.abort();
    await inside?.stop();
  }
}

/** Rejects when the gateway loses its state directory. */
async function failOnLoss({ lost }: RunningGateway): Promise<never> {
  throw await lost;
}

/** Whether an owner answers. Throws ExitError if it refuses the key, because another attempt would get the same answer. */
async function hasOwner(socket: ControlSocket): Promise<boolean> {
  try {
    const { status } = await ask(socket, { path: '/livez', signal: AbortSignal.timeout(BOUNDS.ownerProbeTime) });
    return status === 200;
  } catch (error) {
    if (error instanceof ExitError && error.status === EXIT.auth) throw error;
    return false; // the lock shows whether an owner exists that does not answer
  }
}

export interface Request {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Sends one request over the control socket. Throws ExitError if the gateway ends, refuses the key, or the signal aborts. */
export async function ask(socket: ControlSocket, request: Request): Promise<Answer> {
  const key = readControlKey(socket.directory);
  const answer = await exchange(socket.path, request, key);
  if (answer.status !== REFUSED) return answer;
  // an owner that has just started may have made a new key after this one was read; a refused request had no effect
  const newer = readControlKey(socket.directory);
  const again = newer && !(key && newer.equals(key)) ? await exchange(socket.path, request, newer) : answer;
  if (again.status !== REFUSED) return again;
  throw new ExitError(EXIT.auth, keyRefused(socket.directory, newer));
}

/** The status with which the control socket refuses a proof, and nothing else. */
const REFUSED = 401;

function keyRefused(directory: string, key: Buffer | undefined): string {
  const file = controlKeyFile(directory);
  const what = key
    ? `${file} does not hold the key that the gateway made at its start`
    : `${file} is missing, damaged, or cannot be read`;
  return `the gateway that runs on ${directory} refuses this command: ${what}. Restart that gateway: it makes a new key.`;
}

async function exchange(socketPath: string, request: Request, key: Buffer | undefined): Promise<Answer> {
  const { path, method = 'GET', body, signal } = request;
  const headers = { ...request.headers, ...headersOf(key, { method, url: path }) };
  const sent = httpRequest({ socketPath, path, method, headers, signal });
  sent.on('error', () => undefined); // `once` and `text` reject with it
  try {
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, text: await text(response) };
  } catch (error) {
    throw new ExitError(EXIT.unreachable, `the gateway did not answer: ${reasonOf(error)}. Try again.`);
  }
}

/** The headers of every request; without a key they have no proof, and the owner refuses the request. */
function headersOf(key: Buffer | undefined, request: ControlRequest): Record<string, string> {
  return { host: 'localhost', ...(key && { authorization: proveControl(key, request) }) };
}

/** A stream of MCP lines to the owner of the state directory, or the gateway of this process if it has become the owner. */
export type Joined =
  | { readonly stream: Duplex; readonly inside?: undefined }
  | { readonly inside: RunningGateway; readonly stream?: undefined };

/** As `attachToOwner`, for a stdio client. Throws ExitError too if the owner stops but does not end in time, or has another version. */
export async function joinStdio(invocation: Invocation, signal: AbortSignal): Promise<Joined> {
  const until = performance.now() + BOUNDS.processEndTime;
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
    await delay(BOUNDS.ownerRetryPause, undefined, { signal });
  }
}

/** Opens the stream; undefined if the owner stops or has ended, or a new owner has replaced the key. */
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
