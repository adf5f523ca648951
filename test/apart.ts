// Tests of one file that run beside each other because they mostly wait: what each has started still ends with it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { aroundEach, onTestFinished as ofTheOneThatRuns } from 'vitest';

const running = new AsyncLocalStorage<typeof ofTheOneThatRuns>();

/** Once in each file with concurrent tests, which call `onTestFinished` below, or what uses it. */
export function tellTestsApart(): void {
  aroundEach((runTest, { onTestFinished }) => running.run(onTestFinished, runTest));
}

/** Ends with the test that calls it. Vitest's own knows only which test began last, so it is wrong where tests run beside each other. */
export const onTestFinished: typeof ofTheOneThatRuns = (...given) => (running.getStore() ?? ofTheOneThatRuns)(...given);
