// What a gateway has logged, waited for: a line may come later than an answer that was given after it.
import type { RunningGateway } from './gateway.ts';
import { until } from './status.ts';

/** Resolves when the log has this. */
export async function untilLogged(gateway: Pick<RunningGateway, 'log'>, words: string | RegExp): Promise<void> {
  await until(
    () => Promise.resolve(gateway.log()),
    (log) => (typeof words === 'string' ? log.includes(words) : words.test(log)),
  );
}
