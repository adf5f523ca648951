// Where the control socket of a state directory is, within what the operating system allows as a name.
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { realOf } from '../config/real-path.ts';
import { reasonOf } from '../core/errors.ts';
import { requireOwn } from './state-directory.ts';
import { StateError } from './state-error.ts';

/** `sun_path` holds 104 bytes with its final zero on macOS, 108 on Linux. */
const LONGEST_SOCKET_PATH = 100;

/** The address of the control socket of a state directory: a path, or the name of a pipe on Windows. Throws StateError. */
export function controlSocketPath(path: string): string {
  // the same directory must give the same address by every way to it; it may not be there yet
  const directory = realOf(resolve(path));
  if (process.platform === 'win32') return `\\\\.\\pipe\\mcp-gateway-${digest(directory.toLowerCase())}`;
  const inside = join(directory, 'control.sock');
  if (Buffer.byteLength(inside) <= LONGEST_SOCKET_PATH) return inside;
  const folder = privateFolder(process.getuid?.() ?? 0);
  return join(folder, `${digest(directory)}.sock`);
}

function privateFolder(user: number): string {
  const name = `mcp-gateway-${user}`;
  const longest = LONGEST_SOCKET_PATH - 'xxxxxxxxxxxxxxxx.sock'.length - 1;
  const folder = Buffer.byteLength(join(tmpdir(), name)) <= longest ? join(tmpdir(), name) : join('/tmp', name);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    requireOwn(folder);
    return folder;
  } catch (thrown) {
    if (thrown instanceof StateError) throw thrown;
    throw new StateError(`Cannot use ${folder} for the control socket: ${reasonOf(thrown)}. Name a shorter --state.`, {
      cause: thrown,
    });
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
