// The order of test files: what takes longest begins first, so that the workers end together on a machine that has run nothing yet.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Measured; other files follow in vitest's own order. */
const LONGEST = [
  'integration/cli',
  'integration/joining',
  'integration/matrix/matrix',
  'integration/hostile',
  'integration/first-list',
  'integration/upstreams',
  'integration/limits',
  'integration/instance-pool',
  'docs/readme',
  'integration/shutdown',
  'integration/http',
  'integration/tasks-limits',
  'integration/shipped',
  'integration/hostile-failures',
  'integration/containment',
  'upstream/mcp/hostile-wires',
  'integration/matrix/direct',
  'integration/spare',
  'downstream/mcp/streams',
  'integration/reload',
  'upstream/mcp/resumption',
  'upstream/mcp/wire/liveness',
  'integration/hung-servers',
  'integration/stalled-senders',
  'integration/foreign-handles',
  'integration/tasks-ending',
  'integration/contained-callers',
  'integration/tasks',
  'integration/sessions',
  'integration/cancel',
  'integration/large-messages',
  'integration/tasks-shared',
  'fixtures/servers',
  'integration/probing',
  'audit/record',
  'upstream/mcp/process/stopped-servers',
  'integration/cli-usage',
  'integration/call-room',
  'integration/stdio',
  'integration/tasks-legacy',
  'upstream/mcp/wire/server-requests',
  'integration/refused-records',
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
