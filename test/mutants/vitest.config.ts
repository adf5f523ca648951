// How a mutant is tested: the first failure is enough, and what hangs is one.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    bail: 1,
    isolate: false, // each file would load the program again
    testTimeout: 10_000,
    hookTimeout: 10_000,
  },
});
