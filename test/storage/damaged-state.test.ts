// A damaged state.db: whatever page it is, the start sets it aside, learns again, and renames no tool.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { queryAudit } from '../../src/audit/query.ts';
import { NameBook, type Nameable } from '../../src/catalog/names.ts';
import type { ServerOffer } from '../../src/catalog/offer.ts';
import { closeStorage, openStorage } from '../../src/gateway/storage.ts';
import { loadSqlite } from '../../src/storage/database.ts';
import { LearnedStore } from '../../src/upstream/mcp/learned-store.ts';
import { temporaryFolder } from './temporary.ts';

const SERVERS = ['one', 'two', 'three'];

/** Long ones among them, and two that differ in letter case only, so that names with a hash are there to be lost. */
const things = SERVERS.flatMap((server) =>
  ['echo', 'Echo', 'x'.repeat(70), ...Array.from({ length: 60 }, (_, index) => `tool_${index}`)].map(
    (original): Nameable => ({ kind: 'tool', server, alias: server, original }),
  ),
);

const offer: ServerOffer = {
  capabilities: { tools: {} },
  entries: {
    tool: Array.from({ length: 60 }, (_, index) => ({ name: `tool_${index}`, description: 'does much '.repeat(10) })),
    prompt: [],
    resource: [],
    resourceTemplate: [],
  },
};

interface Learned {
  readonly names: readonly string[];
  readonly offers: number;
}

/** What a gateway does with its state at the start: it reads all of it, and writes some. */
function useState(directory: string): Learned {
  const warnings: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  const storage = openStorage({ stateDirectory: directory, logger });
  try {
    const learned = new LearnedStore(storage.state);
    const names = new NameBook(storage.catalog).assign([...things].reverse()).reverse();
    const offers = SERVERS.filter(
      (server) => storage.catalog.offer({ server, digest: 'd', era: 'legacy' }) !== undefined,
    ).length;
    for (const server of SERVERS) {
      const key = { server, digest: 'd', era: 'legacy' } as const;
      learned.eras(key);
      learned.traits(key);
      learned.rememberEra(key);
      learned.rememberTrait(key, { trait: 'asks', why: 'it asked', learnedAt: 1 });
      storage.catalog.saveOffer(key, { fetchedAt: 1, offer });
    }
    return { names, offers };
  } finally {
    closeStorage(storage);
  }
}

/** A state directory that a gateway has left. */
function usedState(): { directory: string; first: Learned } {
  const directory = join(temporaryFolder(), 'state');
  const first = useState(directory);
  return { directory, first };
}

function copyOf(directory: string): string {
  const copy = join(temporaryFolder(), 'state');
  cpSync(directory, copy, { recursive: true });
  return copy;
}

function pageSizeOf(file: string): number {
  const db = new (loadSqlite())(file, { readonly: true });
  const size = db.pragma('page_size', { simple: true }) as number;
  db.close();
  return size;
}

const PATTERNS = {
  zeros: (page: Buffer) => page.fill(0),
  letters: (page: Buffer) => page.fill('}{"garbage'),
  'its second half': (page: Buffer) => page.fill(0xaa, page.length / 2),
};

test.each(Object.entries(PATTERNS))(
  'any page overwritten with %s costs no start, and no tool its name',
  (_, overwrite) => {
    const { directory, first } = usedState();
    const file = join(directory, 'state.db');
    const size = pageSizeOf(file);
    const pages = statSync(file).size / size;
    expect(pages).toBeGreaterThan(10);

    let setAside = 0;
    for (let page = 0; page < pages; page += 1) {
      const copy = copyOf(directory);
      const bytes = readFileSync(file);
      overwrite(bytes.subarray(page * size, (page + 1) * size));
      writeFileSync(join(copy, 'state.db'), bytes);

      expect(useState(copy).names, `page ${page + 1}`).toEqual(first.names);

      expect(useState(copy)).toEqual({ names: first.names, offers: SERVERS.length });
      setAside += readdirSync(copy).filter((name) => name.startsWith('state.db.damaged-')).length;
    }
    expect(setAside).toBeGreaterThan(0);
  },
);

test('what was set aside is kept as it was, said, and recorded', () => {
  const { directory } = usedState();
  writeFileSync(join(directory, 'state.db'), 'this is no database'.repeat(1_000));

  useState(directory);

  const [kept] = readdirSync(directory).filter((name) => name.startsWith('state.db.damaged-'));
  expect(kept).toMatch(/^state\.db\.damaged-\d{4}-\d{2}-\d{2}T/);
  expect(readFileSync(join(directory, kept ?? ''), 'utf8')).toMatch(/^this is no database/);
  const [event] = queryAudit(join(directory, 'audit'), { kind: 'event', text: 'state_set_aside' });
  expect(event).toMatchObject({
    event: 'state_set_aside',
    detail: { keptAs: join(directory, kept ?? ''), reason: 'file is not a database' },
  });
});

test('damage that comes while the gateway runs is met in the same way, and the work goes on', () => {
  const { directory, first } = usedState();
  const storage = openStorage({ stateDirectory: directory, logger: pino({ level: 'silent' }) });
  const other = copyOf(directory);
  const size = pageSizeOf(join(other, 'state.db'));
  const bytes = readFileSync(join(directory, 'state.db'));
  bytes.fill(0xff, size);
  writeFileSync(join(directory, 'state.db'), bytes);

  const key = { server: 'one', digest: 'd', era: 'legacy' } as const;
  expect(storage.catalog.offer(key)).toBeUndefined();
  storage.catalog.saveOffer(key, { fetchedAt: 1, offer });
  expect(storage.catalog.offer(key)).toEqual({ fetchedAt: 1, offer });
  closeStorage(storage);

  expect(useState(directory).names).toEqual(first.names);
});

test.each(['names.json', 'state.db'])('names are kept without %s, and with it damaged', (lost) => {
  const { directory, first } = usedState();
  for (const text of [undefined, '', '{"v":1,"sum":"","names":[]}', 'no']) {
    const copy = join(temporaryFolder(), 'state');
    mkdirSync(copy, { mode: 0o700 });
    for (const name of ['names.json', 'state.db'])
      if (name !== lost) copyFileSync(join(directory, name), join(copy, name));
    if (text !== undefined) writeFileSync(join(copy, lost), text);

    expect(useState(copy).names).toEqual(first.names);

    expect(existsSync(join(copy, lost))).toBe(true);
    expect(useState(copy).names).toEqual(first.names);
  }
});

test('damaged databases are kept, but not without end', () => {
  const { directory } = usedState();
  for (let times = 0; times < 6; times += 1) {
    writeFileSync(join(directory, 'state.db'), 'no database '.repeat(100));
    useState(directory);
  }

  expect(readdirSync(directory).filter((name) => name.startsWith('state.db.damaged-'))).toHaveLength(3);
});
