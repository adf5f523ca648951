// Test projects: unit and integration run on every check; chaos, conformance and long have scripts of their own.
import { defineConfig } from 'vitest/config';

const project = (name: string, include: string[], extra: object = {}) => ({
  test: { name, include, testTimeout: 30_000, hookTimeout: 30_000, ...extra },
});

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      project('unit', ['test/**/*.test.ts'], { exclude: ['test/{integration,chaos,long}/**'] }),
      project('integration', ['test/integration/**/*.test.ts'], { exclude: ['test/integration/startup.test.ts'] }),
      // compares times of one run, so nothing else may run beside it
      project('startup', ['test/integration/startup.test.ts'], { sequence: { groupOrder: 1 } }),
      project('chaos', ['test/chaos/**/*.test.ts'], { testTimeout: 300_000, fileParallelism: false }),
      project('long', ['test/long/**/*.test.ts'], { testTimeout: 1_800_000, fileParallelism: false }),
    ],
  },
});
