// Finds the strongest containment that works on this machine: each candidate gets a trial run.
import { spawn } from 'node:child_process';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import { reasonOf } from '../../../../core/errors.ts';
import type { Containment, HidingContainment, ProtectedPaths } from './containment.ts';
import { allTools, installed, type Machine, thisMachine } from './machine.ts';
import { dieWithOwner, type NamespaceKind, openNamespace } from './namespace.ts';
import { processGroup, WINDOWS_TREE } from './process-group.ts';
import { protect } from './protection.ts';

/** The strongest containment that works here, where no file has to be hidden. */
export function detectContainment(machine = thisMachine()): Promise<Containment> {
  return firstWorking(containmentsFor(machine));
}

/** The strongest containment that works here and hides these paths, else the strongest one that hides nothing. */
export async function detectProtection(paths: ProtectedPaths, machine = thisMachine()): Promise<Containment> {
  const refusals: string[] = [];
  for (const containment of hidingContainments(machine)) {
    try {
      const protection = await containment.protect(paths);
      if (await works(protection)) return protection;
      await protection.close();
      refusals.push('nothing runs in such a namespace');
    } catch (error) {
      refusals.push(reasonOf(error));
    }
  }
  const found = await detectContainment(machine);
  const why = refusals[0] === undefined ? '' : ` Hiding them failed: ${refusals[0]}.`;
  return { name: found.name, description: `${found.description}${why}`, open: () => found.open() };
}

/** The containments that may work on a machine, strongest first; the last one needs no tool and always works. */
export function containmentsFor(machine: Machine): [...Containment[], Containment] {
  if (machine.platform === 'win32') return [WINDOWS_TREE];
  const { setpriv } = machine.tools;
  if (machine.platform !== 'linux' || setpriv === undefined) return [processGroup([])];
  return [...hidingContainments(machine), processGroup(dieWithOwner({ setpriv })), processGroup([])];
}

const DIES = 'every process of the server dies with it and with the gateway';
const HIDES = `it sees neither the gateway's state nor its configuration, and cannot change the gateway's program`;
const SHOWS = `nothing hides the gateway's files from it, since they could not be mounted over`;
const AS_ROOT =
  'As root it can still reach everything else: run the gateway as a user of its own, or the server in a container.';
const AS_USER =
  'It can still change what else this user owns, such as shell profiles and package caches; sudo and other setuid programs do not work inside.';

/** The containments by namespaces. */
function hidingContainments(machine: Machine): HidingContainment[] {
  const tools = allTools(machine);
  const { platform, uid, gid } = machine;
  if (platform !== 'linux' || tools === undefined || uid === undefined || gid === undefined) return [];
  const isRoot = uid === 0;
  const rest = isRoot ? AS_ROOT : AS_USER;
  const ways: NamespaceKind[] = [
    ...(isRoot ? [{ name: 'pid-namespace' as const, tools, userFlags: [], isRoot }] : []),
    // Root without CAP_SYS_ADMIN, as in a container, may still make a user namespace. Some programs (npm, browsers) behave
    // differently as root, so the user's own id is mapped if `unshare` is new enough.
    { name: 'user-namespace', tools, userFlags: ['--user', `--map-user=${uid}`, `--map-group=${gid}`], isRoot },
    { name: 'user-namespace', tools, userFlags: ['--user', '--map-root-user'], isRoot: true },
  ];
  return ways.map((kind) => {
    const where = kind.name === 'pid-namespace' ? 'process' : 'process and user';
    const description = (files: string) => `In a ${where} namespace of its own: ${DIES}; ${files}. ${rest}`;
    return {
      name: kind.name,
      description: description(SHOWS),
      open: () => openNamespace(kind),
      protect: (paths) => protect(kind, { paths, description: description(HIDES) }),
    };
  });
}

async function firstWorking([first, ...rest]: readonly Containment[]): Promise<Containment> {
  if (first === undefined) return processGroup([]);
  return rest.length === 0 || (await works(first)) ? first : firstWorking(rest);
}

/** A containment works if a program runs in it. Node is installed for sure, but `true` is a hundred times cheaper. */
async function works(containment: Containment): Promise<boolean> {
  try {
    const enclosure = await containment.open();
    const ran = await runs(enclosure.wrap([installed('true') ?? process.execPath, '--version'], '/'));
    await enclosure.kill(undefined);
    return ran;
  } catch {
    return false;
  }
}

function runs([file = '', ...args]: readonly string[]): Promise<boolean> {
  return new Promise((settle) => {
    const trial = spawn(file, args, {
      stdio: 'ignore',
      env: {},
      timeout: BOUNDS.containmentTrial,
      killSignal: 'SIGKILL',
    });
    trial.once('error', () => settle(false));
    trial.once('exit', (code) => settle(code === 0));
  });
}
