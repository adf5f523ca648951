// Reads the lines of a segment forward or backward through one buffer, while another process may append to it.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { StateError } from '../storage/state-error.ts';

/** Bytes that are read at a time. */
const WINDOW = 256 * 1024;
const LINE_BREAK = 10;

/**
 * The whole lines of a file from its start, without their line breaks. Each is a view that is valid until the next line is read. Returns
 * how many bytes follow the last line break: a line that another process is writing, or died writing. Throws StateError.
 */
export function* linesForward(path: string): Generator<Buffer, number, undefined> {
  const file = openToRead(path);
  try {
    const { size } = fstatSync(file);
    let window: Buffer = Buffer.allocUnsafe(WINDOW);
    let held = 0;
    for (let position = 0; position < size;) {
      const read = readSync(file, window, held, Math.min(window.length - held, size - position), position);
      if (read === 0) break;
      position += read;
      const end = held + read;
      let start = 0;
      let at = window.indexOf(LINE_BREAK, held);
      while (at !== -1 && at < end) {
        yield window.subarray(start, at);
        start = at + 1;
        at = window.indexOf(LINE_BREAK, start);
      }
      window.copyWithin(0, start, end);
      held = end - start;
      if (held === window.length) window = grown(window, path);
    }
    return held;
  } finally {
    closeSync(file);
  }
}

/**
 * The whole lines of a file from its end, without their line breaks. Each is a view that is valid until the next line is read. Leaves out
 * what follows the last line break. Throws StateError.
 */
export function* linesBackward(path: string): Generator<Buffer, void, undefined> {
  const file = openToRead(path);
  try {
    let position = fstatSync(file).size;
    let window: Buffer = Buffer.allocUnsafe(WINDOW);
    // the bytes that were read and not yielded; `isWhole` says that a line break ends them at `stop`
    let start = window.length;
    let stop = window.length;
    let isWhole = false;
    for (;;) {
      const at = stop > start ? window.lastIndexOf(LINE_BREAK, stop - 1) : -1;
      if (at >= start) {
        if (isWhole) yield window.subarray(at + 1, stop);
        isWhole = true;
        stop = at;
        continue;
      }
      if (position === 0) break;
      const held = stop - start;
      if (held === window.length) window = grown(window, path, held);
      else window.copyWithin(window.length - held, start, stop);
      stop = window.length;
      const wanted = Math.min(stop - held, position);
      start = stop - held - wanted;
      position -= wanted;
      readWhole(file, path, { window: window.subarray(start, start + wanted), position });
    }
    if (isWhole) yield window.subarray(start, stop);
  } finally {
    closeSync(file);
  }
}

/** The size of a file in bytes, and how many of these are whole lines. */
export function extentOf(path: string): { readonly size: number; readonly whole: number } {
  const file = openToRead(path);
  try {
    const { size } = fstatSync(file);
    const window = Buffer.allocUnsafe(WINDOW);
    for (let end = size; end > 0;) {
      const position = Math.max(0, end - window.length);
      const part = window.subarray(0, end - position);
      readWhole(file, path, { window: part, position });
      const at = part.lastIndexOf(LINE_BREAK);
      if (at !== -1) return { size, whole: position + at + 1 };
      end = position;
    }
    return { size, whole: 0 };
  } finally {
    closeSync(file);
  }
}

function openToRead(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (thrown) {
    throw new StateError(`Cannot read ${path}: ${reasonOf(thrown)}.`, { cause: thrown });
  }
}

function readWhole(file: number, path: string, { window, position }: { window: Buffer; position: number }): void {
  for (let done = 0; done < window.length;) {
    const read = readSync(file, window, done, window.length - done, position + done);
    if (read === 0) throw new StateError(`${path} became shorter while it was read. Try again.`);
    done += read;
  }
}

/** A buffer of twice the size with the same content: at its start, or the last `atEnd` bytes at its end. */
function grown(window: Buffer, path: string, atEnd = 0): Buffer {
  if (window.length >= BOUNDS.auditLine)
    throw new StateError(`${path} has a line of more than ${BOUNDS.auditLine} bytes: it is damaged.`);
  const larger = Buffer.allocUnsafe(window.length * 2);
  window.copy(larger, atEnd === 0 ? 0 : larger.length - atEnd);
  return larger;
}
