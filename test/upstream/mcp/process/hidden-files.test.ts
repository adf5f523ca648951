// A containment hides files from servers: odd paths, later files, a lost namespace, machines that refuse to mount.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { Confinement } from '../../../../src/upstream/mcp/process/containment/confinement.ts';
import type { ProtectedPaths, Protection } from '../../../../src/upstream/mcp/process/containment/containment.ts';
import { detectProtection } from '../../../../src/upstream/mcp/process/containment/detect.ts';
import { thisMachine } from '../../../../src/upstream/mcp/process/containment/machine.ts';
import { descendants, observe } from '../processes.ts';

const CANARY = 'kept from servers';

const afterwards: string[] = [];
afterAll(() => afterwards.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A folder with a state directory and the files of a test. */
function place(name = 'plain') {
  const top = mkdtempSync(join(tmpdir(), 'hidden-'));
  afterwards.push(top);
  const folder = join(top, name);
  mkdirSync(join(folder, 'state'), { recursive: true });
  const write = (file: string) => {
    writeFileSync(join(folder, file), CANARY);
    return join(folder, file);
  };
  write('state/keys.json');
  const paths: ProtectedPaths = { state: join(folder, 'state'), hiddenFolders: [], hiddenFiles: [], readOnly: [] };
  return { folder, write, paths };
}

async function protection(paths: ProtectedPaths): Promise<Protection> {
  const found = await detectProtection(paths);
  if (!('renew' in found)) throw new Error(`nothing is hidden here: ${found.description}`);
  const protecting = found as Protection;
  onTestFinished(() => protecting.close());
  return protecting;
}

/** The lines that a shell command writes, inside. */
async function lines(command: string, { inside, cwd }: { inside: Protection; cwd: string }): Promise<string[]> {
  const {
    server,
    lines: written,
    exited,
  } = observe({
    command: 'sh',
    args: ['-c', command],
    cwd,
    containment: () => Promise.resolve(inside),
  });
  await server.start();
  await exited;
  return written;
}

const found = await detectProtection(place().paths);
const hides = 'renew' in found;
if (hides) await (found as Protection).close();

test
  .runIf(hides)
  .for(['with space', `it's "quoted"`, 'line\nbreak', 'back\\slash', '#hash', 'tab\there', '$(id) `id`', 'ünï', '-o'])(
  'files below a folder named %j are hidden',
  async (name) => {
    const { folder, write, paths } = place(name);
    const secret = write(`${name}.json`);
    mkdirSync(join(folder, 'entries'));
    const inside = await protection({ ...paths, hiddenFiles: [secret], readOnly: [join(folder, 'entries')] });

    const written = await lines(
      `grep -rs '${CANARY}' . ; touch entries/new 2>/dev/null || echo read-only; mv "$PWD" ../moved 2>/dev/null || echo pinned; touch new && ls new`,
      { inside, cwd: folder },
    );

    expect(written).toEqual(['read-only', 'pinned', 'new']);
  },
);

test.runIf(hides)('a link is followed to the file that is read, and other folders are hidden too', async () => {
  const { folder, write, paths } = place();
  const target = write('target.json');
  symlinkSync('target.json', join(folder, 'link.json'));
  mkdirSync(join(folder, 'sockets'));
  write('sockets/control.sock');
  const inside = await protection({
    ...paths,
    hiddenFolders: [join(folder, 'sockets'), paths.state],
    hiddenFiles: [join(folder, 'link.json'), join(folder, 'is not there')],
  });

  const written = await lines(`cat link.json target.json; ls sockets; grep -rs '${CANARY}' .`, { inside, cwd: folder });

  expect(written).toEqual([]);
  expect(target).toBe(join(folder, 'target.json'));
});

test.runIf(hides)('a file that is replaced is hidden anew from a process that runs, and a new one too', async () => {
  const { folder, write, paths } = place();
  const secret = write('secret.json');
  const later = join(folder, 'later.json');
  const inside = await protection({ ...paths, hiddenFiles: [secret, later] });
  const {
    server,
    line,
    lines: written,
  } = observe({
    command: 'sh',
    args: ['-c', 'while read -r word; do cat secret.json later.json 2>/dev/null; echo "; $word"; done'],
    cwd: folder,
    containment: () => Promise.resolve(inside),
  });
  await server.start();
  server.send('before');
  await line((text) => text.endsWith('before'));

  write('new.json');
  renameSync(join(folder, 'new.json'), secret);
  write('later.json');
  server.send('uncovered');
  await line((text) => text.endsWith('uncovered'));
  const ended = await inside.renew({ ...paths, hiddenFiles: [secret, later] });
  server.send('after');
  await line((text) => text.endsWith('after'));

  // The second line shows that only the renewal hides them.
  expect(written).toEqual(['; before', `${CANARY}${CANARY}; uncovered`, '; after']);
  expect(ended).toBe(0);
});

test.runIf(hides)('many files cost next to nothing', async () => {
  const { folder, write, paths } = place();
  const hiddenFiles = Array.from({ length: 1_000 }, (_, index) => write(`${index}.json`));
  const inside = await protection({ ...paths, hiddenFiles });

  expect(await lines(`grep -rs '${CANARY}' . | head -1; ls | wc -l`, { inside, cwd: folder })).toEqual(['1001']);
});

test.runIf(hides)('servers are started again when what holds their mounts is killed', async () => {
  const { folder, write, paths } = place();
  const secret = write('secret.json');
  const warnings: string[] = [];
  const warned = Promise.withResolvers<void>();
  const confinement = new Confinement({
    paths: () => ({ ...paths, hiddenFiles: [secret] }),
    warn: (message) => {
      warnings.push(message);
      warned.resolve();
    },
  });
  onTestFinished(() => confinement.close());
  const before = new Set(descendants(process.pid));
  const first = await confinement.containment();
  const [holder = 0] = descendants(process.pid).filter((pid) => !before.has(pid));
  const { server, exited } = observe({ command: 'cat', cwd: folder, containment: () => Promise.resolve(first) });
  await server.start();

  process.kill(holder, 'SIGKILL');
  await exited;
  await warned.promise;
  const second = await confinement.containment();

  expect(second).not.toBe(first);
  expect(await lines('cat secret.json', { inside: second as Protection, cwd: folder })).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(/every stdio server is started again, since the process that holds/),
  ]);
});

test.runIf(hides)(
  'where a renewal fails, the servers are ended and the next ones start where everything is hidden',
  async () => {
    const { folder, write, paths } = place();
    const secret = write('secret.json');
    const warnings: string[] = [];
    const confinement = new Confinement({
      paths: () => ({ ...paths, hiddenFiles: [secret] }),
      warn: (message) => warnings.push(message),
      detect: async (wanted) => {
        const inside = await protection(wanted);
        const failing = { renew: () => Promise.reject(new Error('no more mounts')), open: () => inside.open() };
        return { ...failing, name: inside.name, description: '', ended: inside.ended, close: () => inside.close() };
      },
    });
    const { server, exited } = observe({ command: 'cat', cwd: folder, containment: () => confinement.containment() });
    await server.start();

    await confinement.renew();

    expect(await exited).toMatchObject({ message: expect.stringContaining('without being asked to') as string });
    expect(warnings).toEqual([expect.stringMatching(/every stdio server is started again, since .*: no more mounts$/)]);
  },
);

test.runIf(hides)('where nothing can be mounted, the next best is taken and says what is not hidden', async () => {
  const { folder, write, paths } = place();
  const machine = thisMachine();
  const refusing = join(folder, 'mount');
  writeFileSync(refusing, '#!/bin/sh\necho "mount: permission denied" >&2\nexit 1\n');
  chmodSync(refusing, 0o755);
  const secret = write('secret.json');

  const found = await detectProtection(
    { ...paths, hiddenFiles: [secret] },
    { ...machine, tools: { ...machine.tools, mount: refusing } },
  );

  expect(found).not.toHaveProperty('renew');
  expect(found.name).toMatch(/namespace$/);
  expect(found.description).toContain(
    "nothing hides the gateway's files from it, since they could not be mounted over",
  );
  expect(found.description).toContain('Hiding them failed: a namespace could not be opened: mount: permission denied');
});

test.runIf(hides)('a server keeps no capability that undoes a mount, and none that it could pass on', async () => {
  const { folder, paths } = place();
  const inside = await protection(paths);

  const written = await lines('grep Cap /proc/self/status', { inside, cwd: folder });

  const set = (name: string) =>
    BigInt(`0x${/[0-9a-f]+$/.exec(written.find((each) => each.startsWith(name)) ?? '')?.[0] ?? ''}`);
  // DAC_READ_SEARCH, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, MKNOD
  const undoing = [2, 16, 17, 19, 21, 27].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
  expect([set('CapInh'), set('CapAmb')]).toEqual([0n, 0n]);
  expect(set('CapEff') & undoing).toBe(0n);
  // Nobody but root gets a capability of a bounding set.
  if (process.getuid?.() === 0) expect(set('CapBnd') & undoing).toBe(0n);
});
