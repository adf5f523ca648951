// Replaces `~` in paths, since no shell does it.
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The home directory of the user who runs the gateway. */
export function homeOf({ HOME, USERPROFILE }: NodeJS.ProcessEnv): string {
  return [HOME, USERPROFILE].find((folder) => folder !== undefined && folder !== '') ?? homedir();
}

/** The path with its `~` replaced. */
export function fromHome(path: string, home: string): string {
  return /^~(?:[/\\]|$)/.test(path) ? join(home, path.slice(1)) : path;
}
