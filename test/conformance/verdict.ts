// What the findings of the suite mean: a scenario passes if something was looked at and nothing failed or warned.
import type { Pass } from './course.ts';
import type { Check } from './suite.ts';

export interface Verdict {
  readonly passed: boolean;
  /** Why not, in the suite's words; empty if it passed. */
  readonly reasons: readonly string[];
}

/** The suite adds these to every scenario, so that they say nothing of whether the scenario itself got anywhere. */
const OF_EVERY_SCENARIO = 'wire-schema-';

const COLLAPSED = /\s+/g;
const MAX_REASON = 500;

function reason({ id, status, errorMessage, description }: Check): string {
  return `${status} ${id}: ${(errorMessage ?? description ?? '').replace(COLLAPSED, ' ').slice(0, MAX_REASON)}`;
}

/** Judges one scenario; `undefined` is one that did not run to its end. */
export function judge(checks: readonly Check[] | undefined): Verdict {
  if (!checks) return { passed: false, reasons: ['did not run to its end'] };
  const bad = checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
  if (bad.length > 0) return { passed: false, reasons: bad.map(reason) };
  if (checks.some(({ id, status }) => status === 'SUCCESS' && !id.startsWith(OF_EVERY_SCENARIO))) {
    return { passed: true, reasons: [] };
  }
  return { passed: false, reasons: ['nothing was checked', ...checks.map(reason)] };
}

/** Judges every scenario, in the order given. One passed if it did in each pass; the reasons why not say in which. */
export function judgeAll(
  scenarios: readonly string[],
  passes: readonly Pick<Pass, 'when' | 'findings'>[],
): ReadonlyMap<string, Verdict> {
  const judgeEach = (scenario: string): Verdict => {
    const each = passes.map(({ when, findings }) => ({ when, ...judge(findings.get(scenario)) }));
    return {
      passed: each.length > 0 && each.every(({ passed }) => passed),
      reasons: each.flatMap(({ when, reasons }) => reasons.map((one) => (when ? `${when}: ${one}` : one))),
    };
  };
  return new Map(scenarios.map((scenario) => [scenario, judgeEach(scenario)]));
}
