// The facts of a machine that its containment depends on: platform, user, installed programs.
import { resolveCommand } from '../command.ts';

const TOOLS = ['setpriv', 'unshare', 'nsenter', 'cat', 'sh', 'mount', 'umount'] as const;

/** Absolute paths of the programs that are installed. */
export type Tools = Readonly<Record<(typeof TOOLS)[number], string>>;

export interface Machine {
  readonly platform: NodeJS.Platform;
  /** The effective user and group; undefined on Windows. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly tools: Partial<Tools>;
}

export function thisMachine(): Machine {
  const found = process.platform === 'linux' ? TOOLS.map((name) => [name, installed(name)] as const) : [];
  return {
    platform: process.platform,
    uid: process.geteuid?.(),
    gid: process.getegid?.(),
    tools: Object.fromEntries(found.filter(([, path]) => path !== undefined)),
  };
}

/** The path of a program of the system; undefined if it is not installed. */
export function installed(program: string): string | undefined {
  try {
    return resolveCommand(program, { path: '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin', cwd: '/' });
  } catch {
    return undefined;
  }
}

/** All of the tools; undefined if one is missing. */
export function allTools({ tools }: Machine): Tools | undefined {
  return TOOLS.every((name) => tools[name] !== undefined) ? (tools as Tools) : undefined;
}
