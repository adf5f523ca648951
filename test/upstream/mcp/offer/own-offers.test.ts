// What single owners are offered, and when that is news.
import { expect, test } from 'vitest';
import { EMPTY_OFFER, type ServerOffer } from '../../../../src/catalog/offer.ts';
import type { OfferKind } from '../../../../src/core/call.ts';
import { OwnOffers } from '../../../../src/upstream/mcp/offer/own-offers.ts';

const offering = (...tools: string[]): ServerOffer => ({
  ...EMPTY_OFFER,
  entries: { ...EMPTY_OFFER.entries, tool: tools.map((name) => ({ name })) },
});
const BASE = offering('all');

function heard() {
  const news: [string, readonly OfferKind[]][] = [];
  return { news, offers: new OwnOffers((owner, kinds) => news.push([owner, kinds])) };
}

test('what is offered to everybody is nobody’s own, and no news', () => {
  const { news, offers } = heard();
  offers.set('one', offering('all'), BASE);
  expect([offers.size, news]).toEqual([0, []]);
});

test('what differs is its owner’s alone, is told once for the lists that changed, and ends with the owner', () => {
  const { news, offers } = heard();
  offers.set('one', offering('all', 'more'), BASE);
  offers.set('one', offering('all', 'more'), BASE);
  expect(offers.get('one')).toEqual(offering('all', 'more'));
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
  const { offers } = heard();
  offers.set('early', offering('all', 'new'), BASE);
  offers.set('other', offering('all', 'else'), BASE);
  offers.rebase(offering('all', 'new'));
  expect([offers.get('early'), offers.get('other')]).toEqual([undefined, offering('all', 'else')]);
});
