// Test projects: unit and integration run on every check; chaos, conformance and long have scripts of their own.
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.ts';

// Hundreds of processes run the same code: each finds it compiled by those before it. Fixture servers are given this by their entry.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '.vitest/compiled');

const project = (name: string, include: string[], extra: object = {}) => ({
  test: {
    name,
    include,
    testTimeout: 60_000, // a busy machine needs more than the 20 s that the longest takes
    hookTimeout: 30_000,
    // Node runs TypeScript itself, and keeps what it has compiled for the next process
    experimental: { viteModuleRunner: false },
    ...extra,
  },
});

/** One process runs many files, so that what they import is loaded once. Each file leaves nothing behind: timers, mocks, environment. */
const TOGETHER = { isolate: false };

/** Tests whose loops `npm run test:long` runs again at production size (test/size.ts). */
const SIZED = [
  'audit/recovery',
  'audit/verify',
  'catalog/definitions',
  'config/client-files',
  'config/entry',
  'downstream/mcp/sessions',
  'integration/cancel',
  'integration/joining',
  'protocol/mcp/long-json',
].map((name) => `test/${name}.test.ts`);

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3, // tests wait more than they compute
    sequence: { sequencer: LongestFirst },
    projects: [
      project('unit', ['test/**/*.test.ts'], {
        exclude: ['test/{integration,chaos,long}/**'],
        ...TOGETHER,
      }),
      project('integration', ['test/integration/**/*.test.ts'], {
        exclude: ['test/integration/startup.test.ts'],
        ...TOGETHER,
      }),
      // compares times of one run, so nothing else may run beside it
      project('startup', ['test/integration/startup.test.ts'], {
        sequence: { groupOrder: 1 },
        env: { NODE_DISABLE_COMPILE_CACHE: '1' }, // what is measured is a first start
      }),
      project('chaos', ['test/chaos/**/*.test.ts'], { testTimeout: 300_000, fileParallelism: false }),
      project('long', ['test/long/**/*.test.ts', ...SIZED], {
        testTimeout: 1_800_000,
        fileParallelism: false,
        env: { TEST_SIZE: 'large' },
      }),
    ],
  },
});
