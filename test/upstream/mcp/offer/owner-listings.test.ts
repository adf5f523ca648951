// Which offers differ for single owners, and when an owner is notified.
import { expect, test } from 'vitest';
import { boundsWith } from '../../../../src/core/bounds/bounds.ts';
import { EMPTY_OFFER, type ServerOffer } from '../../../../src/catalog/offer.ts';
import type { OfferKind } from '../../../../src/core/call.ts';
import type { OwnerOfferListener } from '../../../../src/upstream/mcp/context.ts';
import { OwnerListings } from '../../../../src/upstream/mcp/offer/owner-listings.ts';

const offering = (...tools: string[]): ServerOffer => ({
  ...EMPTY_OFFER,
  entries: { ...EMPTY_OFFER.entries, tool: tools.map((name) => ({ name })) },
});
const BASE = offering('all');

function setup(most = Infinity) {
  const news: [string, readonly OfferKind[]][] = [];
  const listener: OwnerOfferListener = { ownerOfferChanged: (_server, owner, kinds) => news.push([owner, kinds]) };
  return { news, offers: new OwnerListings('s', listener, boundsWith({ ownerOffers: most })) };
}

test('what is offered to everybody is nobody’s own, and no news', () => {
  const { news, offers } = setup();
  offers.set('one', offering('all'), BASE);
  expect([offers.size, news]).toEqual([0, []]);
});

test('what differs is its owner’s alone, is told once for the lists that changed, and ends with the owner', () => {
  const { news, offers } = setup();
  offers.set('one', offering('all', 'more'), BASE);
  offers.set('one', offering('all', 'more'), BASE);
  expect(offers.get('one')?.offer).toEqual(offering('all', 'more'));
  expect(offers.get('other')).toBeUndefined();
  offers.forget('one', BASE);
  offers.forget('one', BASE);
  expect(offers.size).toBe(0);
  expect(news).toEqual([
    ['one', ['tool']],
    ['one', ['tool']],
  ]);
});

test('what everybody is offered too by now is nobody’s own any more', () => {
  const { offers } = setup();
  offers.set('early', offering('all', 'new'), BASE);
  offers.set('other', offering('all', 'else'), BASE);
  offers.rebase(offering('all', 'new'));
  expect([offers.get('early'), offers.get('other')?.offer]).toEqual([undefined, offering('all', 'else')]);
});

test('what many are offered is kept once, as long as one of them is there', () => {
  const { offers } = setup(2 * JSON.stringify(offering('all', 'more')).length);
  for (let owner = 0; owner < 100; owner++) expect(offers.set(`${owner}`, offering('all', 'more'), BASE)).toBe(true);
  const [first, last] = [offers.get('0'), offers.get('99')];
  for (let owner = 0; owner < 99; owner++) offers.forget(`${owner}`, BASE);

  expect(last?.offer).toBe(first?.offer);
  expect(last?.digest).toBe(first?.digest);
  expect(offers.set('other', offering('all', 'else'), BASE)).toBe(true);
  expect(offers.get('other')?.digest).not.toBe(last?.digest);
});

test('an owner for whom there is no room is offered what everybody is, until others have left', () => {
  const { news, offers } = setup(2.5 * JSON.stringify(offering('all', 'n')).length);
  for (const owner of ['a', 'b', 'c']) offers.set(owner, offering('all', owner), BASE);
  expect(offers.get('c')).toBeUndefined();
  expect(offers.set('a', offering('all', 'b'), BASE)).toBe(true);
  expect(offers.set('c', offering('all', 'c'), BASE)).toBe(true);
  expect(offers.set('b', offering('all', 'x'.repeat(1_000)), BASE)).toBe(false);

  expect(['a', 'b', 'c'].map((owner) => offers.get(owner)?.offer)).toEqual([
    offering('all', 'b'),
    undefined,
    offering('all', 'c'),
  ]);
  expect(news.map(([owner]) => owner)).toEqual(['a', 'b', 'a', 'c', 'b']);
});
