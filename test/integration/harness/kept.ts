// What a test starts ends with it, whatever comes of it; what was started last ends first.
import { onTestFinished } from '../../apart.ts';
import { openGateway, type RunningGateway, type OpenOptions } from './gateway.ts';

/** Stops with the test that it is called in. */
export async function kept<T extends { stop(): Promise<unknown> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  onTestFinished(async () => {
    await started.stop();
  });
  return started;
}

/** A gateway in this process that stops with the test, when it has tried every server once. */
export async function openTried(options: OpenOptions): Promise<RunningGateway> {
  const gateway = await kept(openGateway(options));
  await gateway.attempted();
  return gateway;
}
