// Reads the files of a configuration safely: regular files of a bounded size, never a pipe that blocks.
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, type Stats } from 'node:fs';
import { BOUNDS } from '../core/bounds/bounds.ts';

/** The text of a file and its owner and mode, or why it was not read, as the end of a sentence about the file. */
export type FileRead = { readonly text: string; readonly stats: Stats } | { readonly fault: string };

// Windows has neither flag.
const NO_FOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0;
const NO_BLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;

/** Reads a regular file of UTF-8 within `configFile`. Without `follow` it refuses a symbolic link. */
export function readRegularFile(file: string, { follow }: { readonly follow: boolean }): FileRead {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_RDONLY | NO_BLOCK | (follow ? 0 : NO_FOLLOW));
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) return { fault: 'is not a regular file' };
    const bytes = stats.size > BOUNDS.configFile ? undefined : readBounded(descriptor);
    if (bytes === undefined) return { fault: 'is larger than 1 MiB' };
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), stats };
  } catch (error) {
    return { fault: faultOf(error) };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** The names of the `*.json` files of a directory in lexical order, without those of editors, which begin with a dot. Throws what the file system says. */
export function listDirectory(directory: string): { readonly files: string[]; readonly others: string[] } {
  const names = readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .sort();
  const isOther = (name: string) => /\.(jsonc|json5|ya?ml|toml)$/i.test(name);
  return { files: names.filter((name) => name.endsWith('.json')), others: names.filter(isOther) };
}

function readBounded(descriptor: number): Buffer | undefined {
  const buffer = Buffer.allocUnsafe(BOUNDS.configFile + 1);
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (read === 0) return buffer.subarray(0, length);
    length += read;
  }
  return undefined;
}

/** Why a file was not read, as the end of a sentence about it. */
export function faultOf(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text; save it as UTF-8';
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'ENOTDIR') return 'is not a directory, or below a file';
  if (code === 'ELOOP' || code === 'EMLINK')
    return 'is a symbolic link, or one that leads in a circle; put the file itself there';
  if (code === 'ENXIO') return 'is not a regular file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user; check its permissions';
  return `cannot be read (${code})`;
}

/** Tells whether an error says that a file or folder does not exist. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
