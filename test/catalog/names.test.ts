// Names: what every client takes, unique, and never changed once given.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Nameable, NameBook, type NameStore } from '../../src/catalog/names.ts';
import { BOUNDS } from '../../src/core/bounds/bounds.ts';
import type { NameRow } from '../../src/catalog/store.ts';

/** The table `names`, as a list. */
function memory(): NameStore & { rows: NameRow[] } {
  const rows: NameRow[] = [];
  return {
    rows,
    names: () => [...rows],
    saveNames: ({ given, forgotten, all }) => {
      for (const { kind, server, original } of forgotten) {
        const at = rows.findIndex((row) => row.kind === kind && row.server === server && row.original === original);
        rows.splice(at, 1);
      }
      for (const row of given) {
        const at = rows.findIndex(
          (kept) => kept.kind === row.kind && kept.server === row.server && kept.original === row.original,
        );
        if (at === -1) rows.push(row);
        else rows[at] = row;
      }
      expect(new Set(Array.from(all, (row) => JSON.stringify(row)))).toEqual(
        new Set(rows.map((row) => JSON.stringify(row))),
      );
    },
  };
}

const tool = (server: string, original: string, alias = server): Nameable => ({
  kind: 'tool',
  server,
  alias,
  original,
});

/** Few letters, so that names collide often: in case, after replacement, and across the separator. */
const word = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'A', 'b', '_', '-', '.', '/', 'é', '🎈'), minLength: 1, maxLength: 6 }),
  fc.string({ unit: fc.constantFrom('x', 'X'), minLength: 44, maxLength: 80 }),
);
const server = fc.constantFrom('a', 'A', 'a_', 'a__a', 'b.c', 'b_c', 'x'.repeat(64));
const things = fc
  .uniqueArray(fc.tuple(server, word), { selector: ([name, original]) => `${name}\n${original}`, maxLength: 24 })
  .map((pairs) => pairs.map(([name, original]) => tool(name, original)));

test('every name has only letters that all clients take, at most 54 of them, and belongs to one thing whatever the case', () => {
  fc.assert(
    fc.property(things, (all) => {
      const names = new NameBook(memory()).assign(all);

      for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,54}$/);
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(all.length);
    }),
  );
});

test('a name once given stays, in whatever order and company its thing comes again, and after a restart', () => {
  fc.assert(
    fc.property(things, fc.array(things, { maxLength: 4 }), fc.boolean(), (first, later, restart) => {
      const store = memory();
      let book = new NameBook(store);
      const given = new Map(book.assign(first).map((name, index) => [first[index], name]));

      for (const more of later) {
        if (restart) book = new NameBook(store);
        const all = [...more, ...[...first].reverse()];
        const names = book.assign(all);

        for (const [thing, name] of given) if (thing) expect(names[all.indexOf(thing)]).toBe(name);
      }
    }),
  );
});

test('a plain name is alias__name; only what does not fit or is taken gets a hash', () => {
  const book = new NameBook(memory());
  const long = 'l'.repeat(60);

  const names = book.assign([tool('gh', 'get_issue'), tool('gh', 'GET_ISSUE'), tool('gh', 'a.b'), tool('gh', long)]);

  expect(names[0]).toBe('gh__get_issue');
  expect(names[1]).toMatch(/^gh__GET_ISSUE_[a-z2-7]{6}$/);
  expect(names[2]).toBe('gh__a_b');
  expect(names[3]).toMatch(/^gh__l{43}_[a-z2-7]{6}$/);
  expect(names[3]).toHaveLength(BOUNDS.exposedName);
});

test('servers whose names become one prefix are told apart by a hash, which is the same after a restart', () => {
  const things = [tool('a b', 'echo'), tool('a.b', 'echo'), tool('ファイル', 'echo'), tool('資料資料', 'echo')];
  const store = memory();

  const names = new NameBook(store).assign(things);

  expect(names).toEqual([
    'a_b__echo',
    expect.stringMatching(/^a_b__echo_[a-z2-7]{6}$/),
    '______echo',
    expect.stringMatching(/^______echo_[a-z2-7]{6}$/),
  ]);
  expect(new NameBook(store).assign([...things].reverse())).toEqual([...names].reverse());
  expect(new NameBook(memory()).assign(things)).toEqual(names);
});

test('prompts and tools do not take names from each other', () => {
  const prompt: Nameable = { ...tool('s', 'x'), kind: 'prompt' };

  expect(new NameBook(memory()).assign([tool('s', 'x'), prompt])).toEqual(['s__x', 's__x']);
});

test.each([
  ['longer', 'gh', 'gh__work'],
  ['shorter', 'gh__work', 'gh'],
  ['other', 'gh', 'work'],
])('a %s alias gives new names, and the old alias gives the old ones back', (_, before, after) => {
  const store = memory();
  const long = 'l'.repeat(60);
  const named = (alias: string) => new NameBook(store).assign([tool('s', 'x', alias), tool('s', long, alias)]);

  const old = named(before);
  const [short, hashed] = named(after);

  expect(short).toBe(`${after}__x`);
  expect(hashed).toMatch(new RegExp(`^${after}__l+_[a-z2-7]{6}$`));
  expect(named(before)).toEqual(old);
});

test('new names are kept before anybody sees them, old ones are not written again', () => {
  const store = memory();
  const book = new NameBook(store);

  book.assign([tool('s', 'x')]);
  expect(store.rows).toEqual([{ kind: 'tool', server: 's', original: 'x', exposed: 's__x' }]);
  const full: NameStore = {
    names: () => [...store.rows],
    saveNames: () => {
      throw new Error('disk full');
    },
  };

  expect(new NameBook(full).assign([tool('s', 'x')])).toEqual(['s__x']);
  expect(() => new NameBook(full).assign([tool('s', 'y')])).toThrow('disk full');
});

test('a server that goes on inventing names loses the oldest that it no longer offers; nobody else loses any', () => {
  const saved: { given: number; forgotten: number }[] = [];
  const book = new NameBook({
    names: () => [],
    saveNames: ({ given, forgotten }) => void saved.push({ given: given.length, forgotten: forgotten.length }),
  });
  const round = (number: number) => Array.from({ length: 5_000 }, (_, index) => tool('evil', `n${number}.${index}`));
  const stays = tool('evil', 'first of all');
  const taken = [tool('evil', 'A.B'), tool('evil', 'a_b')];
  const [other, quiet] = [tool('well', 'x'), tool('well', 'not.offered')];
  const [, long] = book.assign([...taken, tool('well', 'y'.repeat(60)), quiet]);
  const given = book.assign([stays, other]);

  for (let number = 0; number < 9; number++) expect(book.assign([stays, ...round(number), other])[0]).toBe(given[0]);

  expect(saved.reduce((sum, { given, forgotten }) => sum + given - forgotten, 0)).toBe(BOUNDS.keptNames + 3);
  expect(book.assign([stays, other, quiet])).toEqual([...given, 'well__not_offered']);
  expect(saved.at(-1)).toEqual({ given: 5_000, forgotten: 5_000 });
  expect(long).toMatch(/^evil__a_b_[a-z2-7]{6}$/);
  expect(book.assign([...taken].reverse())[0]).toBe('evil__a_b'); // forgotten, and so free for whoever comes first
});
