// The control socket, on which commands and relays reach the owner of a state directory; never TCP.
import { renameSync, rmSync, statSync } from 'node:fs';
import type { IncomingMessage, Server } from 'node:http';
import { dirname, join } from 'node:path';
import { ERRORS, type GatewayError, toGatewayError } from '../core/errors.ts';
import { createServer } from '../core/node-http.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { ControlProofs } from '../identity/control-proof.ts';
import { errorText } from '../protocol/mcp/frames.ts';
import { makeControlKey } from '../storage/control-key.ts';
import { prepareShutdown } from './http-servers.ts';
import { createFront } from './http.ts';
import { STDIO_UPGRADE, STOPPING_LINE } from './control-protocol.ts';
import type { EndpointLimits } from './mcp/limits.ts';
import { StdioFront } from './mcp/stdio.ts';

export interface Control {
  /** Accepts no more relays, and tells the connected ones to keep new calls for the next owner. */
  stop(): void;
  close(): Promise<void>;
}

export interface ControlOptions {
  /** Where the socket is bound. */
  readonly path: string;
  readonly limits: EndpointLimits;
}

/**
 * Listens on the socket; rejects if it cannot be bound. The modes of the socket and its folder keep other users out. Server processes run as
 * the same user, so each request proves that its sender can read the state directory.
 */
export async function openControl(gateway: Gateway, { path, limits }: ControlOptions): Promise<Control> {
  const checkProof = proofCheck(makeControlKey(gateway.stateDirectory.path));
  const front = createFront({ gateway, limits, control: checkProof });
  const server = createServer(front.listener);
  const shutdown = prepareShutdown([server]);
  const relays = new Set<StdioFront>();
  let stopped = false;
  server.on('upgrade', (request, socket) => {
    if (request.headers.upgrade !== STDIO_UPGRADE) {
      socket.destroy();
      return;
    }
    socket.on('error', () => socket.destroy());
    try {
      checkProof(request);
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
    const stdio = new StdioFront(gateway, { input: socket, output: socket, limits });
    relays.add(stdio);
    socket.once('close', () => relays.delete(stdio));
    void stdio.ended.then(() => socket.end());
  });
  if (process.platform !== 'win32') rmSync(path, { force: true }); // left by an owner that has ended, since this one holds the lock
  const isOurs = await bind(server, path);
  const stop = () => {
    if (stopped) return;
    stopped = true;
    for (const stdio of relays) stdio.sendLine(STOPPING_LINE);
  };
  return {
    stop,
    close: async () => {
      stop();
      await front.close();
      await shutdown.finish();
      if (isOurs()) rmSync(path, { force: true });
    },
  };
}

/**
 * Listens at a path. Binds the socket under another name first, because Node removes the bound name when the server closes, and by then the
 * path may be another gateway's. Resolves with a function that returns whether the path still is this gateway's socket.
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

/** Makes the check of each request's proof. The check throws `control_key_required`. */
function proofCheck(key: Buffer): (request: IncomingMessage) => void {
  const proofs = new ControlProofs(key);
  return ({ headers, method = '', url = '' }) => proofs.check(headers.authorization, { method, url });
}

/** The whole HTTP response to a refused upgrade. */
function refusalOf({ code, message }: GatewayError): string {
  const { jsonRpc } = ERRORS[code];
  const body = errorText(undefined, { code: jsonRpc, message, data: { reason: code } });
  const head = 'Connection: close\r\nContent-Type: application/json\r\nWWW-Authenticate: Control';
  return `HTTP/1.1 401 Unauthorized\r\n${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
