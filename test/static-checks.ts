// `npm run check:static`: everything that needs no running gateway, two checks at a time, each told as a whole when it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** npm scripts, what takes longest first. */
const CHECKS = ['lint', 'typecheck', 'format:check', 'package', 'unused', 'layers'];
const AT_ONCE = 2;

const failed: string[] = [];

async function check(name: string): Promise<void> {
  const began = performance.now();
  const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) failed.push(name);
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'ok' : 'FAILED'} ${name} (${seconds} s)\n${Buffer.concat(chunks).toString()}`);
}

async function work(): Promise<void> {
  for (let next = CHECKS.shift(); next !== undefined; next = CHECKS.shift()) await check(next);
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
if (failed.length > 0) {
  process.stdout.write(`\nFailed: ${failed.join(', ')}. Each runs alone with \`npm run NAME\`.\n`);
  process.exitCode = 1;
}
