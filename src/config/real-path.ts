// The real path of something that may not exist yet.
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The path with the symbolic links of its existing part resolved. */
export function realOf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realOf(parent), path.slice(parent.length));
  }
}
