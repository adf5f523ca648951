// One request for all who want its answer: it is made once, and given up when nobody is left.
import { expect, test } from 'vitest';
import { Cancellation, type CancelSignal } from '../../../src/core/cancellation.ts';
import { SharedRequest } from '../../../src/gateway/tasks/shared-request.ts';

/** Requests as they are begun, each to be answered by the test. */
function requests() {
  const shared = new SharedRequest<string>();
  const begun: { readonly answered: PromiseWithResolvers<string>; readonly signal: CancelSignal }[] = [];
  const join = (signal: CancelSignal = new Cancellation()) =>
    shared.join(signal, (over) => {
      const answered = Promise.withResolvers<string>();
      begun.push({ answered, signal: over });
      return answered.promise;
    });
  return { begun, join };
}

test('whoever comes while it is under way gets its answer, and whoever comes later another', async () => {
  const { begun, join } = requests();
  const both = [join(), join()];
  begun[0]!.answered.resolve('first');

  expect(await Promise.all(both)).toEqual(['first', 'first']);
  const later = join();
  begun[1]!.answered.resolve('second');
  expect(await later).toBe('second');
  expect(begun).toHaveLength(2);
});

test('everybody gets its failure', async () => {
  const { begun, join } = requests();
  const both = Promise.allSettled([join(), join()]);
  begun[0]!.answered.reject(new Error('failed'));

  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('one who leaves ends it for nobody else, and the last one ends it', async () => {
  const { begun, join } = requests();
  const [first, last] = [new Cancellation(), new Cancellation()];
  const both = [join(first), join(last)];
  first.abort();
  await expect(both[0]).rejects.toMatchObject({ code: 'cancelled' });
  expect(begun[0]!.signal.aborted).toBe(false);
  last.abort();
  await expect(both[1]).rejects.toMatchObject({ code: 'cancelled' });

  expect(begun[0]!.signal.aborted).toBe(true);
  void join();
  expect(begun).toHaveLength(2);
});
