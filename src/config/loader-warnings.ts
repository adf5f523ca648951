// Warns of variables with which a pasted entry can start something that its command does not name.
import type { Finding } from './positions.ts';
import type { ServerEntry } from './schema.ts';

/**
 * Variables that make a program load or run something that its command does not name, and what that is. Variables that only say where a
 * program's own modules are (PYTHONPATH, NODE_PATH) are not among them.
 */
const LOADERS: ReadonlyMap<string, string> = new Map(
  [
    { loads: 'the libraries that it names', names: ['LD_PRELOAD', 'LD_AUDIT', 'DYLD_INSERT_LIBRARIES', 'RUBYOPT'] },
    {
      loads: 'libraries of the folders that it names instead of the system’s',
      names: ['LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'DYLD_FRAMEWORK_PATH'],
    },
    { loads: 'whatever its --require and --import name', names: ['NODE_OPTIONS'] },
    { loads: 'the script that it names', names: ['PYTHONSTARTUP', 'BASH_ENV'] },
    { loads: 'another standard library', names: ['PYTHONHOME'] },
    { loads: 'the modules that it names', names: ['PERL5OPT'] },
    { loads: 'the agents that it names', names: ['JAVA_TOOL_OPTIONS', 'JDK_JAVA_OPTIONS', '_JAVA_OPTIONS'] },
  ].flatMap(({ loads, names }) => names.map((name): [string, string] => [name, loads])),
);

/** The warnings about the variables of an entry. */
export function loaderWarnings(env: ServerEntry['env']): Finding[] {
  return Object.keys(env).flatMap((name) => {
    const loads = LOADERS.get(name.toUpperCase());
    if (loads === undefined) return [];
    const message = `with this variable the program, and each that it starts, loads ${loads}; keep it only if you know why it is there`;
    return [{ path: ['env', name], message, severity: 'warning' as const, atKey: true }];
  });
}
