// A server that is as hostile as its user can be: what is the gateway's stays hidden and unchanged, whatever it tries.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { controlSocketPath } from '../../src/storage/control-socket.ts';
import {
  fixture,
  ROOT,
  type GatewayProcess,
  startGateway,
  type Workspace,
  withEnv,
  workspace,
} from './harness/gateway.ts';
import { callText, toolNames } from './harness/scripted.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

const isRoot = process.getuid?.() === 0;
const USERS = isRoot ? [0, 1000] : [process.getuid?.() ?? 0];
const CANARY = 'kept-from-servers';
const { PATH = '' } = process.env;

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe.runIf(process.platform === 'linux').for(USERS)('a server of user %i', (user) => {
  /** Folder of folders: the configuration's own, and the one of an installed gateway. */
  let top: string;
  let place: Workspace;
  let program: string;
  let gateway: GatewayProcess;

  const run = async (command: string): Promise<Ran> => {
    const text = await callText(gateway.url, 'attacker__run', { command });
    if (!text.startsWith('{')) throw new Error(text);
    return JSON.parse(text) as Ran;
  };
  /** Every line that shows something hidden, below the folder of the configuration and a second place. */
  const sees = (...places: string[]) => `grep -rsa ${CANARY} ${[place.directory, ...places].join(' ')}`;
  const writeAtomically = (name: string, content: object) => {
    place.write(`${name}.new`, content);
    renameSync(join(place.directory, `${name}.new`), join(place.directory, name));
  };
  const main = (more: object = {}) => ({
    mcpServers: {
      attacker: withEnv(fixture('shell-stdio.ts'), { PATH }),
      secretive: withEnv(fixture('echo-stdio.ts'), { A: CANARY, B: '${file:secret.txt}' }),
      remote: { url: 'https://127.0.0.1:9/mcp', tls: { cert: 'cert.pem', key: 'key.pem' } },
      ...more,
    },
  });

  beforeAll(async () => {
    top = mkdtempSync(join(tmpdir(), 'contained-'));
    chmodSync(top, 0o755);
    program = installedIn(join(top, 'lib/node_modules/gateway'));
    place = inFolder(workspace(main()), join(top, 'home/project'));
    for (const name of ['secret.txt', 'key.pem']) place.write(name, `${CANARY} ${name}\n`);
    place.write('cert.pem', 'public');
    place.write('servers.d/dropped.json', withEnv(fixture('echo-stdio.ts'), { A: CANARY }));
    place.write('servers.d/script.sh', 'echo a script beside the entries\n');
    if (isRoot) spawnSync('chown', ['-R', `${user}:${user}`, top]);
    const as = isRoot ? ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'] : [];
    gateway = await startGateway({
      space: place,
      program: [...as, process.execPath, join(program, 'dist/cli/bin.js')],
    });
    await statusUntil(gateway, 'attacker', ({ state }) => state === 'ready');
  });
  afterAll(async () => {
    await gateway.stop();
    rmSync(top, { recursive: true, force: true });
  });

  test('reads no file of the configuration and no state, and works in their folder all the same', async () => {
    const { stdout } = await run(`id -u; pwd; cat servers.d/script.sh; ls servers.d; echo mine > note && cat note`);
    const seen = await run(`${sees()}; cat mcp-gateway.json servers.d/dropped.json secret.txt key.pem; ls state`);
    const state = await run(`cat state/keys.json state/run.json state/audit/*; echo x > state/run.json`);

    expect(stdout.split('\n').slice(0, 3)).toEqual([String(user), place.directory, 'echo a script beside the entries']);
    expect(stdout).toContain('dropped.json');
    expect(stdout.trim().split('\n').at(-1)).toBe('mine');
    expect(seen.stdout).not.toContain(CANARY);
    expect(seen.stdout).not.toContain('keys.json');
    expect(state).toMatchObject({ stdout: '' });
    expect(state.code).not.toBe(0);
    expect(JSON.parse(readFileSync(join(place.state, 'run.json'), 'utf8'))).toHaveProperty('pid', gateway.process.pid);
  });

  test('does not reach the control socket', async () => {
    const connect = `require('net').connect('${place.state}/control.sock').on('connect',()=>{console.log('in');process.exit()})`;

    const { code, stdout, stderr } = await run(`'${process.execPath}' -e "${connect}"`);

    expect(stdout).toBe('');
    expect(stderr).toMatch(/ENOENT|EACCES/);
    expect(code).not.toBe(0);
  });

  test.for([
    ['umount', 'umount "$STATE" "$FILE"; umount -l "$STATE" "$FILE"'],
    [
      'umount in a namespace of its own',
      'unshare -rm sh -c \'umount "$STATE" "$FILE"; umount -l "$STATE" "$FILE"; umount -R "$TOP"; $SEE\'',
    ],
    ['a second mount', 'mkdir -p "$TOP/m"; mount --bind "$DIR" "$TOP/m"; mount --rbind / "$TOP/m"; $SEE "$TOP/m"'],
    [
      'a second mount in a namespace of its own',
      `mkdir -p "$TOP/m"; unshare -rm sh -c 'mount --bind "$DIR" "$TOP/m"; mount --rbind "$TOP" "$TOP/m"; umount "$TOP/m/home/project/state"; $SEE "$TOP/m"'`,
    ],
    [
      'private mounts in a namespace of its own',
      'unshare -rm --propagation private sh -c \'umount -l "$STATE"; $SEE\'',
    ],
    [
      'the root of another process',
      'for p in /proc/[0-9]*; do cat $p/root"$FILE" $p/root"$STATE"/keys.json; done; chroot /proc/1/root $SEE',
    ],
    ['the namespace of its first process', 'nsenter -t 1 -m -U --preserve-credentials $SEE; nsenter -t 1 -m $SEE'],
    [
      '/proc without its own',
      `umount /proc; umount -l /proc; unshare -rm sh -c 'umount /proc; umount -l /proc; ls -d /proc/${process.pid}; ls /proc | grep -c "^[0-9]" | grep ...'`,
    ],
    [
      'a link from elsewhere',
      'ln mcp-gateway.json "$TOP/link"; ln -s "$FILE" "$TOP/soft"; cat "$TOP/link" "$TOP/soft"',
    ],
    [
      'moving what is hidden',
      'mv mcp-gateway.json "$TOP/x"; mv state "$TOP/y"; mv servers.d/dropped.json "$TOP/z"; mv "$DIR" "$DIR.moved"; mv "$TOP/home" "$TOP/moved"; mv "$TOP" "$TOP.moved"',
    ],
    ['device nodes', 'mknod "$TOP/d" b $(stat -c "0x%Hd 0x%Ld" / 2>/dev/null || echo 8 0)'],
  ] as const)('does not undo it with %s', async ([, command]) => {
    const variables = [
      `DIR='${place.directory}' STATE='${place.state}' FILE='${place.config}' TOP='${top}'`,
      `SEE='grep -rsa ${CANARY} ${place.directory}'`,
    ].join(' ');

    const { stdout } = await run(`export ${variables}; { ${command}; } 2>/dev/null; ${sees()} ; cat state/keys.json`);

    expect(stdout).toBe('');
    expect(readFileSync(place.config, 'utf8')).toContain(CANARY);
    expect(existsSync(place.state)).toBe(true);
  });

  test('adds no server and changes none, whichever folder it replaces', async () => {
    const before = readdirSync(join(place.directory, 'servers.d'));
    const entry = `{"command":"touch","args":["${top}/pwned"]}`;
    const attempts = [
      `echo '${entry}' > servers.d/zz.json`,
      `mv servers.d servers.moved; mkdir servers.d; echo '${entry}' > servers.d/zz.json`,
      `rm -rf servers.d; mkdir servers.d; echo '${entry}' > servers.d/zz.json`,
      `mv '${place.directory}' '${place.directory}.moved'; mkdir -p '${place.directory}/servers.d'; echo '${entry}' > '${place.directory}/servers.d/zz.json'`,
      `mv '${dirname(place.directory)}' '${top}/moved'; mkdir -p '${place.directory}/servers.d'; echo '${entry}' > '${place.directory}/servers.d/zz.json'`,
      `mv '${top}' '${top}.moved'; mkdir -p '${place.directory}/servers.d'; echo '${entry}' > '${place.directory}/servers.d/zz.json'`,
      `echo '{"mcpServers":{"zz":${entry}}}' > mcp-gateway.json`,
      `echo '{"mcpServers":{"zz":${entry}}}' > new.json; mv -f new.json mcp-gateway.json; cp --remove-destination new.json mcp-gateway.json`,
      `unshare -rm sh -c "mount -o remount,bind,rw servers.d; umount servers.d; echo '${entry}' > servers.d/zz.json"`,
      `mount -o remount,bind,rw servers.d; echo '${entry}' > servers.d/zz.json`,
    ];
    for (const attempt of attempts) await run(`cd '${place.directory}'; { ${attempt}; } 2>/dev/null`);

    expect(readdirSync(join(place.directory, 'servers.d'))).toEqual(before);
    expect(readFileSync(place.config, 'utf8')).toContain('attacker');
    expect(existsSync(join(top, 'pwned'))).toBe(false);
    expect((await gateway.cli('servers', '--json')).stdout).not.toContain('zz');
  });

  test("changes nothing of the gateway's program", async () => {
    const bin = join(program, 'dist/cli/bin.js');
    const before = readFileSync(bin, 'utf8');
    const attempts = [
      `echo broken > '${bin}'`,
      `touch '${program}/dist/new.js' '${program}/node_modules/new.js' '${dirname(program)}/new.js'`,
      `echo '{}' > '${program}/package.json'; mv '${program}/package.json' '${top}/p'`,
      `mv '${program}/dist' '${program}/old'; mv '${program}' '${program}.old'; mv '${top}/lib' '${top}/old'`,
    ];

    const results = [];
    for (const attempt of attempts) results.push(await run(attempt));

    expect(results.map(({ code }) => code === 0)).toEqual(attempts.map(() => false));
    expect(readFileSync(bin, 'utf8')).toBe(before);
    expect(existsSync(join(program, 'package.json'))).toBe(true);
  });

  test('sees nothing of a file that is added or replaced while it runs, once the edit is in force', async () => {
    const { pid } = await statusOf(gateway, 'attacker');

    writeAtomically('servers.d/late.json', withEnv(fixture('echo-stdio.ts'), { A: CANARY }));
    await until(
      () => toolNames(gateway.url),
      (names) => names.includes('late__echo'),
    );
    const added = await run(sees());
    writeAtomically('servers.d/dropped.json', withEnv(fixture('echo-stdio.ts'), { A: `${CANARY} again` }));
    writeAtomically('mcp-gateway.json', main({ more: fixture('echo-stdio.ts') }));
    await until(
      () => toolNames(gateway.url),
      (names) => names.includes('more__echo'),
    );
    const replaced = await run(`${sees()}; echo x > servers.d/zz.json`);

    expect(added.stdout).toBe('');
    expect(replaced).toMatchObject({ stdout: '' });
    expect(existsSync(join(place.directory, 'servers.d/zz.json'))).toBe(false);
    expect((await statusOf(gateway, 'attacker')).pid).toBe(pid);
  });

  test('sees nothing of an edit that is refused either', async () => {
    writeAtomically('mcp-gateway.json', { ...main(), auth: { tokens: CANARY } });
    await until(
      async () => (await fetch(`${gateway.origin}/readyz`)).text(),
      (text) => text.includes('reloadError'),
    );
    const seen = await run(sees());
    writeAtomically('mcp-gateway.json', main());
    await until(
      async () => (await fetch(`${gateway.origin}/readyz`)).text(),
      (text) => !text.includes('reloadError'),
    );

    expect(seen.stdout).toBe('');
  });

  test('is ended when it has left for mounts of its own, in which a replaced file cannot be hidden', async () => {
    const { restarts } = await statusOf(gateway, 'attacker');
    const left = await run(
      `unshare -rm --propagation private sh -c 'touch there; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null & while [ ! -e there ]; do sleep 0.01; done; echo left`,
    );

    writeAtomically('mcp-gateway.json', main({ other: fixture('echo-stdio.ts') }));
    await statusUntil(gateway, 'attacker', (status) => status.restarts > restarts && status.state === 'ready');

    expect(left.stdout).toBe('left\n');
    expect((await run(sees())).stdout).toBe('');
    expect(gateway.log()).toContain('had made a mount namespace of its own');
  });

  test('is described to the operator: what it cannot reach, and what it still can', async () => {
    const { stdout } = await gateway.cli('servers', 'attacker');

    expect(stdout).toMatch(/containment +(pid|user)-namespace\. .*sees neither the gateway's state/);
    expect(stdout).toContain(user === 0 ? 'As root it can still' : 'shell profiles');
    expect(gateway.log()).toContain("sees neither the gateway's state");
    expect(gateway.log().includes('these servers run as root')).toBe(user === 0);
  });
});

test.runIf(process.platform === 'linux')(
  'the control socket of a long path is hidden under /tmp too, and links to the configuration cannot be exchanged',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'linked-'));
    const space = inFolder(workspace({}), join(folder, 'project'));
    const state = join(folder, 'a'.repeat(120));
    mkdirSync(join(folder, 'elsewhere/entries'), { recursive: true });
    const entry = withEnv(fixture('shell-stdio.ts'), { PATH, A: CANARY });
    writeFileSync(join(folder, 'elsewhere/main.json'), JSON.stringify({ mcpServers: { attacker: entry } }));
    rmSync(space.config);
    symlinkSync('../elsewhere/main.json', space.config);
    symlinkSync('../elsewhere/entries', join(space.directory, 'servers.d'));
    const socket = controlSocketPath(state);
    const gateway = await startGateway({ space: { ...space, state } });
    const command = [
      `ls ${dirname(socket)}; cat mcp-gateway.json ../elsewhere/main.json`,
      `ln -sfn /tmp servers.d && echo exchanged; echo '{}' > x && mv x mcp-gateway.json && echo exchanged`,
      `touch servers.d/zz.json && echo added; mv ../elsewhere ../moved && echo moved; echo done`,
    ].join('; ');

    const text = await until(
      () => callText(gateway.url, 'attacker__run', { command }),
      (each) => each.startsWith('{'),
    );
    await gateway.stop();
    rmSync(folder, { recursive: true });

    expect(socket).toMatch(/^\/tmp\/mcp-gateway-/);
    expect((JSON.parse(text) as Ran).stdout).toBe('done\n');
  },
);

/** A copy of the program that belongs to whoever installs it, with what it imports. */
function installedIn(folder: string): string {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  return folder;
}

/** Moves a workspace to a place of one's choice. */
function inFolder({ directory, config }: Workspace, folder: string): Workspace {
  mkdirSync(folder, { recursive: true });
  renameSync(config, join(folder, 'mcp-gateway.json'));
  rmSync(directory, { recursive: true });
  return {
    directory: folder,
    config: join(folder, 'mcp-gateway.json'),
    state: join(folder, 'state'),
    write: (name, content) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
