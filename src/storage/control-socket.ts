// Finds the address of the control socket of a state directory, within the length that the operating system allows.
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { realOf } from '../config/real-path.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { requireOwn } from './state-directory.ts';
import { StateError } from './state-error.ts';

/** The address of the control socket of a state directory: a path, or the name of a pipe on Windows. Throws StateError. */
export function controlSocketPath(path: string): string {
  // every path to a directory must give the same address; the directory may not exist yet
  const directory = realOf(resolve(path));
  if (process.platform === 'win32') return `\\\\.\\pipe\\mcp-gateway-${digest(directory.toLowerCase())}`;
  const inside = join(directory, 'control.sock');
  if (Buffer.byteLength(inside) <= BOUNDS.controlSocketPath) return inside;
  const folder = privateFolder(process.getuid?.() ?? 0);
  return join(folder, `${digest(directory)}.sock`);
}

function privateFolder(user: number): string {
  const name = `mcp-gateway-${user}`;
  const longest = BOUNDS.controlSocketPath - 'xxxxxxxxxxxxxxxx.sock'.length - 1;
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
