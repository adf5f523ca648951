// The real path of something that may not be there yet.
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A path without links, as far as it exists. */
export function realOf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realOf(parent), path.slice(parent.length));
  }
}
