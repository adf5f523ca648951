// The control socket: how the command line and joining stdio clients reach the owner of a state directory, never over TCP.
import { renameSync, rmSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { dirname, join } from 'node:path';
import { ERRORS, type GatewayError, toGatewayError } from '../core/errors.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { ControlProofs } from '../identity/control-proof.ts';
import { errorText } from '../protocol/mcp/frames.ts';
import { makeControlKey } from '../storage/control-key.ts';
import { prepareShutdown } from './graceful-shutdown.ts';
import { createFront } from './http.ts';
import { ENDING, STDIO_UPGRADE } from './control-protocol.ts';
import { StdioFront } from './mcp/stdio.ts';

export interface Control {
  /** Takes no more stdio clients, and tells those that joined to keep new calls for the next owner. */
  stop(): void;
  close(): Promise<void>;
}

/**
 * Listens on the socket; rejects where it cannot be bound. It is private to the user by the mode of its folder and its own, but server
 * processes run as the same user: each request proves that it comes from where the state directory can be read.
 */
export async function openControl(gateway: Gateway, path: string): Promise<Control> {
  const takeProof = proofTaker(makeControlKey(gateway.stateDirectory.path));
  const front = createFront({ gateway, control: takeProof });
  const server = createServer(front.listener);
  const ending = prepareShutdown([server]);
  const joined = new Set<StdioFront>();
  let stopped = false;
  server.on('upgrade', (request, socket) => {
    if (request.headers.upgrade !== STDIO_UPGRADE) {
      socket.destroy();
      return;
    }
    socket.on('error', () => socket.destroy());
    try {
      takeProof(request);
    } catch (thrown) {
      const error = toGatewayError(thrown);
      gateway.refused(error, { address: 'control socket' });
      socket.end(refusalOf(error));
      return;
    }
    if (stopped) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${STDIO_UPGRADE}\r\n\r\n`);
    const stdio = new StdioFront(gateway, { input: socket, output: socket });
    joined.add(stdio);
    socket.once('close', () => joined.delete(stdio));
    void stdio.ended.then(() => socket.end());
  });
  if (process.platform !== 'win32') rmSync(path, { force: true }); // ours by the lock: whoever left it is gone
  const isOurs = await bind(server, path);
  const stop = () => {
    if (stopped) return;
    stopped = true;
    for (const stdio of joined) stdio.say(ENDING);
  };
  return {
    stop,
    close: async () => {
      stop();
      await front.close();
      await ending.finish();
      if (isOurs()) rmSync(path, { force: true });
    },
  };
}

/**
 * Listens at a path. The socket is bound under another name first: a server that closes removes the name it was bound under, which must not
 * be that of another gateway which has taken the path since. Resolves with what tells whether the path is still ours.
 */
async function bind(server: Server, path: string): Promise<() => boolean> {
  const isFile = process.platform !== 'win32';
  const bound = isFile ? join(dirname(path), `.${process.pid}`) : path;
  if (isFile) rmSync(bound, { force: true });
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(bound, resolve);
    });
  } finally {
    process.umask(mask);
  }
  if (!isFile) return () => false;
  const { ino } = statSync(bound);
  renameSync(bound, path);
  return () => statSync(path, { throwIfNoEntry: false })?.ino === ino;
}

/** Takes the proof of each request. Throws `control_key_required`. */
function proofTaker(key: Buffer): (request: IncomingMessage) => void {
  const proofs = new ControlProofs(key);
  return ({ headers, method = '', url = '' }) => proofs.check(headers.authorization, { method, url });
}

/** The whole answer to an upgrade that is refused. */
function refusalOf({ code, message }: GatewayError): string {
  const { jsonRpc } = ERRORS[code];
  const body = errorText(undefined, { code: jsonRpc, message, data: { reason: code } });
  const head = 'Connection: close\r\nContent-Type: application/json\r\nWWW-Authenticate: Control';
  return `HTTP/1.1 401 Unauthorized\r\n${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
