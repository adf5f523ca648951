// Loaded into the gateway ahead of its program: tells on a socket for how long its event loop was held up at most since it was last asked.
import { createServer } from 'node:net';

/** In ms: by the clock, and what the loop's own thread worked of it. On a machine that does other things too, the first is longer. */
let longest = { clock: 0, work: 0 };

const work = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
let last = { clock: performance.now(), work: work() };

setInterval(() => {
  const now = { clock: performance.now(), work: work() };
  longest = {
    clock: Math.max(longest.clock, now.clock - last.clock),
    work: Math.max(longest.work, now.work - last.work),
  };
  last = now;
}, 1).unref();

const server = createServer((socket) => {
  socket.end(JSON.stringify(longest));
  longest = { clock: 0, work: 0 };
});
server.listen(process.env.BENCH_LOOP_SOCKET);
server.unref();
