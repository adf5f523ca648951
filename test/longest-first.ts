// The order of test files: what takes longest begins first, so that the workers end together on a machine that has run nothing yet.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Measured; other files follow in vitest's own order. */
const LONGEST = [
  'integration/matrix/matrix',
  'integration/cli',
  'integration/joining',
  'integration/instance-pool',
  'integration/shipped',
  'integration/hostile',
  'integration/shutdown',
  'integration/hostile-failures',
  'integration/upstreams',
  'integration/probing',
  'docs/readme',
  'integration/limits',
  'integration/principals',
  'integration/stalled-senders',
  'integration/cli-usage',
  'integration/bad-input',
  'integration/http',
  'integration/stdio',
  'integration/offer',
  'integration/leaks',
  'upstream/mcp/hostile-wires',
  'fixtures/servers',
  'integration/instance-news',
  'downstream/mcp/streams',
  'integration/state',
];

function rank({ moduleId }: TestSpecification): number {
  const known = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return known < 0 ? LONGEST.length : known;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
