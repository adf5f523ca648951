// The log as an intruder, a crash or a test sees it: files with lines.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of the segments, oldest first. */
export function segmentPaths(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
}

/** The lines of all segments. */
export function storedLines(folder: string): string[] {
  return segmentPaths(folder).flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(0, -1));
}

/** Kind and call of every record of a call, as `intent 3f…`. */
export function storedCalls(folder: string): string[] {
  return storedLines(folder).flatMap((line) => {
    const { kind, call } = JSON.parse(line) as { kind: string; call?: string };
    return call === undefined ? [] : [`${kind} ${call}`];
  });
}
