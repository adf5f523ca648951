// Reading the files of a configuration safely: regular files of a bounded size, never a pipe that blocks.
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** The largest file that is read. */
const MAX_FILE_BYTES = 1024 * 1024;
/** The most files that are read from servers.d. */
export const MAX_DROPPED_FILES = 1000;

/** The text of a file, or why it was not read, as the end of a sentence about the file. `writable`: anybody on the machine may change it. */
export type FileRead = { readonly text: string; readonly writable: boolean } | { readonly fault: string };

/** Files that a directory holds, by name in lexical order, or why it could not be listed. A missing directory is empty. */
export type DirectoryRead =
  { readonly files: readonly string[]; readonly others: readonly string[] } | { readonly fault: string };

/** Said of a file that `writable` is true of. */
export const WRITABLE =
  'everybody on this machine may change this file, and so decide what is started; take the right away (chmod o-w)';

// Windows has neither flag.
const NO_FOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0;
const NO_BLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;

/** Reads a regular file of at most 1 MiB of UTF-8. Without `follow` a symbolic link is refused. */
export function readRegularFile(file: string, { follow }: { readonly follow: boolean }): FileRead {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_RDONLY | NO_BLOCK | (follow ? 0 : NO_FOLLOW));
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) return { fault: 'is not a regular file' };
    const bytes = stats.size > MAX_FILE_BYTES ? undefined : readBounded(descriptor);
    if (bytes === undefined) return { fault: 'is larger than 1 MiB' };
    return {
      text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
      writable: (stats.mode & 0o002) !== 0,
    };
  } catch (error) {
    return { fault: faultOf(error) };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Lists the `*.json` files of a directory; names that begin with a dot belong to editors. */
export function listDirectory(directory: string): DirectoryRead {
  try {
    const names = readdirSync(directory)
      .filter((name) => !name.startsWith('.'))
      .sort();
    const isOther = (name: string) => /\.(jsonc|json5|ya?ml|toml)$/i.test(name);
    const paths = (picked: string[]) => picked.map((name) => join(directory, name));
    return { files: paths(names.filter((name) => name.endsWith('.json'))), others: paths(names.filter(isOther)) };
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? { files: [], others: [] } : { fault: faultOf(error) };
  }
}

function readBounded(descriptor: number): Buffer | undefined {
  const buffer = Buffer.allocUnsafe(MAX_FILE_BYTES + 1);
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (read === 0) return buffer.subarray(0, length);
    length += read;
  }
  return undefined;
}

function faultOf(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text; save it as UTF-8';
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'ENOTDIR') return 'is not a directory, or below a file';
  if (code === 'ELOOP' || code === 'EMLINK') return 'is a symbolic link; put the file itself there';
  if (code === 'ENXIO') return 'is not a regular file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user; check its permissions';
  return `cannot be read (${code})`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
