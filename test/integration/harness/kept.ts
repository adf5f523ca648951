// What a test starts ends with it, whatever comes of it; what was started last ends first.
import { onTestFinished } from 'vitest';
import { type RunningGateway, startGateway, type StartOptions } from './gateway.ts';

/** Stops with the test that it is called in. */
export async function kept<T extends { stop(): Promise<unknown> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  onTestFinished(async () => {
    await started.stop();
  });
  return started;
}

/** A gateway that stops with the test, when it has tried every server once. */
export async function startTried(options: StartOptions): Promise<RunningGateway> {
  const gateway = await kept(startGateway(options));
  await gateway.attempted();
  return gateway;
}
