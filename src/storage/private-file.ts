// Replaces a file that only this user may read, at once as a whole.
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes the file under another name and renames it, so that a reader finds the old text or the new one. */
export function replacePrivateFile(file: string, text: string): void {
  const partial = `${file}.partial`;
  rmSync(partial, { force: true }); // a file that a killed owner left may have another mode
  writeFileSync(partial, `${text}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(partial, file);
}
