// Has the suite speak its revisions at one URL, one part of a course after another, and says of each pass when it was.
import type { Course, Part, Revision } from './runs.ts';
import { examine, type Findings } from './suite.ts';

/** What the suite found when it spoke one revision once. */
export interface Pass {
  readonly revision: Revision;
  /** Before, after or beside the other revision; empty where the course has no other. */
  readonly when: string;
  readonly findings: Findings;
}

/** When a part of a course is, as it stands before a reason for which it failed. */
function moment(part: Part, before: Part | undefined): string {
  if (part.length > 1) return 'at the same time';
  return before ? `after ${before.join(', ')}` : 'first';
}

/** Runs everything that the suite has for servers of each revision against `url`. */
export async function takeCourse(url: string, course: Course): Promise<Pass[]> {
  const passes: Pass[] = [];
  for (const [index, part] of course.entries()) {
    const when = course.length === 1 ? '' : moment(part, course[index - 1]);
    const found = part.map(async (revision) => ({ revision, when, findings: await examine(url, revision) }));
    passes.push(...(await Promise.all(found)));
  }
  return passes;
}
