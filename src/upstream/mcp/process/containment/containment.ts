// What a containment is: the place for the processes of servers, so that none outlives the gateway or reads what is the gateway's.

/** The ways to contain a process tree, strongest first; `process-tree` is Windows. */
export type ContainmentName = 'pid-namespace' | 'user-namespace' | 'process-group' | 'process-tree';

/** One way to contain a process tree on this machine. */
export interface Containment {
  readonly name: ContainmentName;
  /** One line for the operator: what becomes of the processes, what they cannot reach, and what they still can. */
  readonly description: string;
  /** Opens the place for the processes of one server. Throws an Error with the reason if that fails. */
  open(): Promise<Enclosure>;
}

/** A containment that can also keep the gateway's files from the servers, once it is told which. */
export interface HidingContainment extends Containment {
  /** Throws an Error with the reason if the files cannot be kept from servers here. */
  protect(paths: ProtectedPaths): Promise<Protection>;
}

/** What servers may not see, and what they may see but not change; absolute paths, of which some may not exist (yet). */
export interface ProtectedPaths {
  /** A folder that exists and is hidden; what is hidden is covered by what lies here. */
  readonly state: string;
  readonly hiddenFolders: readonly string[];
  readonly hiddenFiles: readonly string[];
  /** Folders and files. */
  readonly readOnly: readonly string[];
}

/** A containment whose servers do not reach the protected paths. */
export interface Protection extends Containment {
  /**
   * Hides, from the servers that run too, what is not hidden yet: a file that is new, and one that was replaced, since replacing it
   * takes the cover off. Servers that may have got around it are ended; their number is returned. Throws when it cannot be done.
   */
  renew(paths: ProtectedPaths): Promise<number>;
  /** Resolves when nothing can be opened or renewed any more: closed, or what holds it open was killed. */
  readonly ended: Promise<void>;
  /** Ends every server inside, and gives the place up. */
  close(): Promise<void>;
}

/** Tells whether files are hidden in a containment. */
export function isProtection(containment: Containment): containment is Protection {
  return 'renew' in containment;
}

/** The place for the processes of one server. */
export interface Enclosure {
  /** The command line that runs `argv` inside, in the directory `cwd`. */
  wrap(argv: readonly string[], cwd: string): string[];
  /** Kills everything inside; `pid` is what was spawned, if it was. Resolves when it is done; repeating it changes nothing. */
  kill(pid: number | undefined): Promise<void>;
}
