// Replaces a file that only this user may read, at once as a whole.
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Lets `write` fill the file under another name, which exists already, and renames it: a reader finds the old content or the new one. */
export function replacePrivateFile(file: string, write: (partial: string) => void): void {
  const partial = `${file}.partial`;
  rmSync(partial, { force: true }); // a file that a killed owner left may have another mode
  closeSync(openSync(partial, 'wx', 0o600));
  write(partial);
  renameSync(partial, file);
}

/** Replaces the file by a text. With `flush` the text is on the disk before it is under the name. */
export function replacePrivateText(file: string, text: string, { flush = false } = {}): void {
  replacePrivateFile(file, (partial) => writeFileSync(partial, `${text}\n`, { flush }));
}
