// What a containment is: the namespaces or the process group that servers run in, so that none outlives the gateway or reads its files.

/** The ways to contain a process tree, strongest first; `process-tree` is Windows. */
export type ContainmentName = 'pid-namespace' | 'user-namespace' | 'process-group' | 'process-tree';

/** One way to contain a process tree on this machine. */
export interface Containment {
  readonly name: ContainmentName;
  /** One line for the operator: when the processes end, what they cannot reach, and what they still can. */
  readonly description: string;
  /** Opens an enclosure for the processes of one server. Throws an Error with the reason if that fails. */
  open(): Promise<Enclosure>;
}

/** A containment that can also hide the gateway's files from servers. */
export interface HidingContainment extends Containment {
  /** Throws an Error with the reason if the files cannot be hidden on this machine. */
  protect(paths: ProtectedPaths): Promise<Protection>;
}

/** What servers may not see, and what they may see but not change. The paths are absolute; some may not exist (yet). */
export interface ProtectedPaths {
  /** A hidden folder that exists. The files that are mounted over hidden ones lie in it. */
  readonly state: string;
  readonly hiddenFolders: readonly string[];
  readonly hiddenFiles: readonly string[];
  /** Folders and files. */
  readonly readOnly: readonly string[];
}

/** A containment whose servers do not reach the protected paths. */
export interface Protection extends Containment {
  /**
   * Hides what is not hidden yet, from running servers too: new files, and files that were replaced, since the mount over the old file
   * does not cover the new one. Ends the servers that the mounts may not reach, and returns their number. Throws if it fails.
   */
  renew(paths: ProtectedPaths): Promise<number>;
  /** Resolves when nothing can be opened or renewed any more, because it was closed or its holder was killed. */
  readonly ended: Promise<void>;
  /** Ends every server inside, and the namespace. */
  close(): Promise<void>;
}

/** Tells whether files are hidden in a containment. */
export function isProtection(containment: Containment): containment is Protection {
  return 'renew' in containment;
}

/** The namespaces or the process group of one server. */
export interface Enclosure {
  /** The command line that runs `argv` inside, in the directory `cwd`. */
  wrap(argv: readonly string[], cwd: string): string[];
  /** Kills everything inside; `pid` is the spawned process, if there is one. Resolves when that is done. Further calls change nothing. */
  kill(pid: number | undefined): Promise<void>;
}
