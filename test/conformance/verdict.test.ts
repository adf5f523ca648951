// What counts as passed: the judge of the conformance suite must not be easier to please than the suite.
import { expect, test } from 'vitest';
import { failures, table, total } from './report.ts';
import { besidesOf, fixtureOf, REVISIONS, RUNS, SITTINGS } from './runs.ts';
import type { Check } from './suite.ts';
import { judge, judgeAll } from './verdict.ts';

const check = (status: Check['status'], id = 'looked-at'): Check => ({
  id,
  status,
  errorMessage: `${id} was\n  ${status}`,
});

test('a scenario passes if something was checked and nothing failed', () => {
  expect(judge([check('INFO'), check('SUCCESS'), check('SKIPPED')])).toEqual({ passed: true, reasons: [] });
});

test.each(['FAILURE', 'WARNING'] as const)(
  'a %s among successes fails it, with the words of the suite on one line',
  (status) => {
    expect(judge([check('SUCCESS'), check(status, 'the-bad-one')])).toEqual({
      passed: false,
      reasons: [`${status} the-bad-one: the-bad-one was ${status}`],
    });
  },
);

test('a scenario that checked nothing of its own fails', () => {
  const { passed, reasons } = judge([check('INFO'), check('SKIPPED'), check('SUCCESS', 'wire-schema-valid')]);

  expect(passed).toBe(false);
  expect(reasons[0]).toBe('nothing was checked');
});

test('a required scenario that did not run fails and counts', () => {
  const run = RUNS[0]!;
  const verdicts = judgeAll(['ran', 'did-not'], [{ when: '', findings: new Map([['ran', [check('SUCCESS')]]]) }]);

  expect(verdicts.get('did-not')).toEqual({ passed: false, reasons: ['did not run to its end'] });
  expect(total([{ run, verdicts, reported: new Map() }])).toEqual({ passed: 1, required: 2 });
});

test('a scenario of several passes passes if it did in each, and says in which it did not', () => {
  const good = new Map([['ran', [check('SUCCESS')]]]);
  const bad = new Map([['ran', [check('FAILURE', 'the-bad-one')]]]);
  const verdict = (findings: typeof good) =>
    judgeAll(
      ['ran'],
      [
        { when: 'first', findings: good },
        { when: 'at the same time', findings },
      ],
    ).get('ran');

  expect(verdict(good)).toEqual({ passed: true, reasons: [] });
  expect(verdict(bad)).toEqual({
    passed: false,
    reasons: ['at the same time: FAILURE the-bad-one: the-bad-one was FAILURE'],
  });
  expect(judgeAll(['ran'], []).get('ran')?.passed).toBe(false);
});

test('what is only reported is shown as such, and counts neither way', () => {
  const findings = new Map([
    ['first', [check('SUCCESS')]],
    ['second', [check('FAILURE')]],
  ]);
  const reported = judgeAll(['first', 'second'], [{ when: '', findings }]);
  const judged = { run: RUNS[0]!, verdicts: new Map(), reported };
  const letter = judged.run.way.letter.toLowerCase();

  expect(total([judged])).toEqual({ passed: 0, required: 0 });
  expect(table([judged])).toMatch(new RegExp(`^first +${letter}$\\n^second +\\.$`, 'm'));
  expect(failures([judged])).toEqual([expect.stringContaining('second (not required)')]);
});

test('a gateway before a server of both eras meets each after the other, and both at the same time', () => {
  const courses = SITTINGS.filter(({ way }) => way.name.startsWith('dual ')).map(({ course }) => course);

  expect(courses).toHaveLength(3);
  for (const course of courses) {
    const steps = course.map((part) => part.join(' and '));
    const walk = steps.join(', ');
    expect(walk).toContain('2025-11-25, 2026-07-28');
    expect(walk).toContain('2026-07-28, 2025-11-25');
    expect(steps.at(-1)?.split(' and ').sort()).toEqual(REVISIONS);
  }
});

test.each(RUNS.filter(({ way }) => way.leg === 'server'))(
  'tasks are required at $revision of $way.name only if the server behind it can have the extension',
  (run) => {
    const { required, reported } = besidesOf(run);
    const modern = run.way.leg === 'server' && fixtureOf(run.way, run.revision) !== 'conformance-legacy.ts';
    const has = (scenarios: readonly string[]) => scenarios.includes('tasks-lifecycle');

    expect(has(required)).toBe(modern && run.revision === '2026-07-28');
    expect(has(reported)).toBe(!modern && run.revision === '2026-07-28');
  },
);
