// No process of a server is left after its owner was killed with -9 or stopped it, whatever user the owner runs as.
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { boundsWith } from '../../../../src/core/bounds/bounds.ts';
import { Confinement } from '../../../../src/upstream/mcp/process/containment/confinement.ts';
import { containmentsFor, detectContainment } from '../../../../src/upstream/mcp/process/containment/detect.ts';
import type { Machine, Tools } from '../../../../src/upstream/mcp/process/containment/machine.ts';
import { alive, fixture, marked, observe } from '../processes.ts';
import { AS_NOBODY, endOwner, startOwner } from './owners.ts';

const linux: Machine = {
  platform: 'linux',
  uid: 1000,
  gid: 1000,
  tools: {
    setpriv: '/usr/bin/setpriv',
    unshare: '/usr/bin/unshare',
    nsenter: '/usr/bin/nsenter',
    cat: '/bin/cat',
    sh: '/bin/sh',
    mount: '/bin/mount',
    umount: '/bin/umount',
  },
};
/** The machine without one of the programs. */
const lacking = (tool: keyof Tools): Machine => ({ ...linux, tools: { ...linux.tools, [tool]: undefined } });
const names = (machine: Partial<Machine>) => containmentsFor({ ...linux, ...machine }).map(({ name }) => name);
const ofGroup = () => Promise.resolve(containmentsFor(lacking('unshare'))[0]);
const isRoot = process.getuid?.() === 0;
const works = (await detectContainment()).name !== 'process-group';

test.runIf(works)('an owner killed with -9 leaves no process of its servers, however they hide', async () => {
  const parent = await startOwner({ count: 3 });
  const { marker } = parent;
  expect(parent.containment).toBe(isRoot ? 'pid-namespace' : 'user-namespace');
  expect(marked(marker).length).toBeGreaterThanOrEqual(3 * 5);

  const family = await endOwner(parent);

  await expect.poll(() => [...marked(marker), ...alive(family)], { interval: 5, timeout: 1_000 }).toEqual([]);
});

test.runIf(works && isRoot)('an owner of another user killed with -9 leaves no process either', async () => {
  const parent = await startOwner({ count: 3, as: AS_NOBODY });
  const { marker } = parent;
  expect(parent.containment).toBe('user-namespace');
  expect(marked(marker).length).toBeGreaterThanOrEqual(3 * 5);

  const family = await endOwner(parent);

  await expect.poll(() => [...marked(marker), ...alive(family)], { interval: 5, timeout: 1_000 }).toEqual([]);
});

test.runIf(works)('without namespaces the server itself dies with its owner', async () => {
  const parent = await startOwner({ count: 1, containment: 'process-group' });
  const { marker } = parent;
  const before = marked(marker);

  await endOwner(parent);

  const first = Math.min(...before);
  await expect.poll(() => marked(marker).includes(first), { interval: 5, timeout: 1_000 }).toBe(false);
});

test('a stop kills the process group where there are no namespaces', async () => {
  const marker = randomUUID();
  const { server, exited } = observe({
    command: 'sh',
    args: ['-c', 'trap "" TERM HUP; sh -c "sleep 40; :" & sh -c "sleep 40; :" & while :; do sleep 40; done'],
    env: { PATH: process.env.PATH!, MARKER: marker },
    bounds: boundsWith({ serverStop: 20 }),
    containment: ofGroup,
  });
  await server.start();

  await server.stop();

  expect(await exited).toEqual({
    message: 'The process of "sh" was killed, because it did not end when its input was closed.',
  });
  await expect.poll(() => marked(marker), { interval: 5, timeout: 1_000 }).toEqual([]);
});

test('a child that escaped its group and holds the pipes is heard, but does not delay the exit for long', async () => {
  const marker = randomUUID();
  const escaped = 'echo escaped; while kill -0 $PPID 2>/dev/null; do :; done; echo late; sleep 40';
  const { server, lines, line, exited } = observe({
    command: 'sh',
    args: ['-c', `setsid sh -c '${escaped}' & read -r word; echo "$word"; exit 7`],
    env: { PATH: process.env.PATH!, MARKER: marker },
    containment: ofGroup,
  });
  onTestFinished(() => {
    for (const pid of marked(marker)) process.kill(pid, 'SIGKILL');
  });
  await server.start();
  await line((text) => text === 'escaped');

  server.send('last');

  expect(await exited).toMatchObject({ message: expect.stringContaining('exit code 7') as string });
  expect(lines).toEqual(['escaped', 'last', 'late']);
  expect(marked(marker).length).toBeGreaterThan(0);
});

test.runIf(works)('inside its namespace a server keeps its user, and sees no process but its own', async () => {
  const { server, lines, exited } = observe({
    command: 'sh',
    cwd: '/usr/lib',
    args: ['-c', 'id -u; set -- /proc/[0-9]*; echo $#; pwd'],
  });

  await server.start();
  await exited;

  // its own process, and the holder of the namespace
  expect(lines).toEqual([String(process.getuid?.()), '2', '/usr/lib']);
});

test('the containment is found once, and says in one line what it does', async () => {
  const paths = { state: '/none', hiddenFolders: [], hiddenFiles: [], readOnly: [] };
  const detect = () => detectContainment();
  const confinement = new Confinement({ paths: () => paths, detect, warn: () => expect.unreachable() });
  const found = await confinement.containment();

  expect(await confinement.containment()).toBe(found);
  expect(found.description).toMatch(/^[^\n]{20,500}$/u);
});

test('root tries a process namespace first, others a user namespace, and the last one needs nothing', () => {
  expect(names({ uid: 0 })[0]).toBe('pid-namespace');
  expect(names({ uid: 1000 })[0]).toBe('user-namespace');
  expect(names(lacking('unshare'))).toEqual(['process-group', 'process-group']);
  expect(names(lacking('setpriv'))).toEqual(['process-group']);
  expect(names({ platform: 'darwin' })).toEqual(['process-group']);
  expect(names({ platform: 'win32', uid: undefined })).toEqual(['process-tree']);
  expect(names(lacking('mount'))).toEqual(['process-group', 'process-group']);
});

test('a containment that cannot be opened says why', async () => {
  const [broken] = containmentsFor({ ...linux, tools: { ...linux.tools, unshare: '/bin/false' } });

  await expect(broken.open()).rejects.toThrow('a namespace could not be opened');
});

test('where nothing contains, the command line stays as it is', async () => {
  const enclosure = await containmentsFor({ ...linux, platform: 'darwin' })[0].open();

  expect(enclosure.wrap(['/bin/server', '--flag'], '/')).toEqual(['/bin/server', '--flag']);
});

test.runIf(works)('a stop is over only when the last process is gone', async () => {
  const marker = randomUUID();
  const families = Array.from({ length: 6 }, () =>
    observe({
      command: fixture('family.sh'),
      args: ['deaf'],
      env: { PATH: process.env.PATH!, MARKER: marker },
      bounds: boundsWith({ serverStop: 1 }),
    }),
  );
  for (const { server } of families) await server.start();
  await Promise.all(families.map(({ line }) => line(() => true)));

  await Promise.all(families.map(({ server }) => server.stop()));

  expect(marked(marker)).toEqual([]);
});

test.runIf(works)(
  'children that a server leaves behind when it ends are killed, and what they hold is closed',
  async () => {
    const marker = randomUUID();
    const { server, exited } = observe({
      command: 'sh',
      args: ['-c', 'setsid sleep 40 & exit 7'],
      env: { PATH: process.env.PATH!, MARKER: marker },
    });
    await server.start();

    expect(await exited).toMatchObject({ message: expect.stringContaining('exit code 7') as string });
    expect(marked(marker)).toEqual([]);
  },
);

test.runIf(works)('an owner killed while it starts its servers leaves no process either', async () => {
  for (let delay = 0; delay < 16; delay += 2) {
    const parent = await startOwner({ count: 4, until: 'starting' });
    const until = performance.now() + delay;
    while (performance.now() < until) await new Promise(setImmediate);

    const family = await endOwner(parent);

    await expect.poll(() => [...marked(parent.marker), ...alive(family)], { interval: 5, timeout: 1_000 }).toEqual([]);
  }
});

test('a signal that a server sends to itself ends it, as it would outside', async () => {
  const { server, exited } = observe({ command: 'sh', args: ['-c', 'kill -TERM $$; sleep 40'] });

  await server.start();

  expect(await exited).toMatchObject({ message: expect.stringContaining('was ended by SIGTERM') as string });
});
