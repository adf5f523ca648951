// News of the offer: bursts are told once, and nobody hears of what is older than the own listening.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ALL_SERVERS, type OfferKind } from '../../src/core/call.ts';
import { LOCAL } from '../../src/core/principal.ts';
import { Changes } from '../../src/gateway/changes.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function listener(changes: Changes, owner = '') {
  const told: [string, ...OfferKind[]][] = [];
  const caller = { principal: LOCAL, endpoint: ALL_SERVERS, address: owner };
  const listening = {
    caller,
    listsChanged: (server: string, kinds: Iterable<OfferKind>) => told.push([server, ...kinds]),
  };
  const stop = changes.subscribe(listening, new Set([owner]));
  return { told, stop };
}

test('changes of one moment are told once for each server, and no change is no news', () => {
  const changes = new Changes();
  const { told } = listener(changes);

  changes.listsChanged('s', ['tool']);
  changes.listsChanged('s', ['prompt', 'tool']);
  changes.listsChanged('other', ['tool']);
  changes.listsChanged('same', []);
  const early = told.length;
  vi.runAllTimers();

  expect(early).toBe(0);
  expect(told).toEqual([
    ['s', 'tool', 'prompt'],
    ['other', 'tool'],
  ]);
});

test('a listener hears of later changes only, from its joining until it stops', () => {
  const changes = new Changes();
  const first = listener(changes);
  changes.listsChanged('before', ['tool']);
  const second = listener(changes);
  changes.listsChanged('after', ['tool']);
  vi.runAllTimers();
  first.stop();
  changes.listsChanged('later', ['tool']);
  vi.runAllTimers();

  expect(first.told.map(([server]) => server)).toEqual(['before', 'after']);
  expect(second.told.map(([server]) => server)).toEqual(['after', 'later']);
});

test('what changed for one owner is told to that owner alone', () => {
  const changes = new Changes();
  const mine = listener(changes, 'me');
  const others = listener(changes, 'you');

  changes.listsChanged('s', ['tool'], { owner: 'me' });
  vi.runAllTimers();

  expect(mine.told).toEqual([['s', 'tool']]);
  expect(others.told).toEqual([]);
});

test('a change that is none for a caller is not told to it, unless another one is', () => {
  const changes = new Changes();
  const mine = listener(changes, 'me');
  const others = listener(changes, 'you');
  const isSeenBy = ({ address }: { address?: string | undefined }, kind: OfferKind) =>
    address === 'me' && kind === 'tool';

  changes.listsChanged('s', ['tool', 'prompt'], { isSeenBy });
  vi.runAllTimers();
  changes.listsChanged('s', ['tool'], { isSeenBy });
  changes.listsChanged('s', ['tool']);
  vi.runAllTimers();

  expect(mine.told).toEqual([
    ['s', 'tool'],
    ['s', 'tool'],
  ]);
  expect(others.told).toEqual([['s', 'tool']]);
});
