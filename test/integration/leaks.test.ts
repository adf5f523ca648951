// Whoever comes, goes, breaks off or restarts: the gateway holds no more processes, descriptors and listeners than before.
<<<<<<< HEAD
import { afterAll, beforeAll, test } from 'vitest';
import { crashAndStartAgain, leaveNothingBehind, startVisited, type Visited } from './harness/visits.ts';

let there: Visited;
=======
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backTo, type Counts, countsOf, settledCounts } from './harness/counts.ts';
import { fixture, type GatewayProcess, startGateway } from './harness/gateway.ts';
import { modern, openSession, send, stream } from './harness/raw.ts';
import { RawConnection } from './harness/raw-connection.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { statusesOf, until } from './harness/status.ts';

let web: RunningServer;
let gateway: GatewayProcess;
>>>>>>> h-suitea

beforeAll(async () => (there = await startVisited(5)));
afterAll(() => there.stop());

test('160 connects, aborts and dropped streams leave nothing behind, in the gateway or its server', () =>
  leaveNothingBehind(there, 160));

test('ten servers that crash and start again leave no process and no descriptor behind', () =>
  crashAndStartAgain(there, 2));
