// What counts as passed: the judge of the conformance suite must not be easier to please than the suite.
import { expect, test } from 'vitest';
import { total } from './report.ts';
import { RUNS } from './runs.ts';
import { type Check } from './suite.ts';
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
  const verdicts = judgeAll(['ran', 'did-not'], new Map([['ran', [check('SUCCESS')]]]));

  expect(verdicts.get('did-not')).toEqual({ passed: false, reasons: ['did not run to its end'] });
  expect(total([{ run, verdicts }])).toEqual({ passed: 1, required: 2 });
});
