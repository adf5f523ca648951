// Loaded into the gateway ahead of its program: tells on a socket which files have run a function since it was last asked.
import { Session } from 'node:inspector/promises';
import { createServer } from 'node:net';

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false }); // counts whole functions

const server = createServer((socket) => {
  void session.post('Profiler.takePreciseCoverage').then(({ result }) => {
    const entered = result.filter(({ functions }) => functions.some(({ ranges }) => ranges[0]!.count > 0));
    socket.end(JSON.stringify(entered.map(({ url }) => url)));
  });
});
server.listen(process.env.BENCH_ENTERED_SOCKET);
server.unref();
