// Checks of a server's entry that concern several of its keys, and the mistakes that people make there.
import { existsSync } from 'node:fs';
import { isObject, type JsonObject } from '../core/json.ts';
import { ignoredKeys, unknownKeys } from './issues.ts';
import type { Finding } from './positions.ts';
import { didYouMean, type Path } from './problems.ts';
import { hasReference } from './references.ts';
import { serverEntry, TRANSPORTS, URL_KEYS } from './schema.ts';

/** Keys of clients without a meaning here, and what to use instead; empty where there is nothing. */
const CLIENT_KEYS: Readonly<Record<string, string>> = {
  alwaysAllow: '',
  autoApprove: '',
  alwaysLoad: '',
  description: '',
  name: '',
  title: '',
  icon: '',
  trust: '',
  gallery: '',
  version: '',
  $schema: '',
  source: '',
  settings: '',
  dev: '',
  sandboxEnabled: '',
  sandbox: '',
  faviconUrl: '',
  connectionTimeout: 'use "timeouts": { "connect": ... }',
  watchPaths: '',
  disabled_tools: 'use "tools": { "deny": [...] }',
  disabledTools: 'use "tools": { "deny": [...] }',
  excludeTools: 'use "tools": { "deny": [...] }',
  includeTools: 'use "tools": { "allow": [...] }',
  enabledTools: 'use "tools": { "allow": [...] }',
  envFile: 'the file is not read; use "env" with references such as ${file:path}',
  headersHelper: 'no program is run for headers; use "headers" with references',
  oauth: 'use "headers" with references',
  auth: 'use "headers" with references',
};

/** The keys that say how to reach a server; an entry has one of them. */
const REACH = ['command', ...URL_KEYS];
const NO_WEB_SOCKET =
  'WebSocket is no transport of MCP and not spoken here; if the server also speaks HTTP, write its http:// or https:// URL and the type "http" or "sse"';

/** Headers that the gateway itself sets on every request; the entry cannot. */
export const OWN_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'connection',
  'content-length',
  'content-type',
  'host',
  'keep-alive',
  'mcp-protocol-version',
  'mcp-session-id',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Warns of unknown keys: those of a client, or misspelt ones. */
export function unknownKeyWarnings(entry: JsonObject, path: Path): Finding[] {
  const unknown = unknownKeys({ schema: serverEntry, value: entry, path });
  const adviceOf = (key: string) => (Object.hasOwn(CLIENT_KEYS, key) ? CLIENT_KEYS[key] : undefined);
  const clients = unknown.filter(({ key }) => adviceOf(key) === '');
  const others = unknown.filter(({ key }) => adviceOf(key) !== '');
  return [
    ...ignoredKeys(path, { keys: clients.map(({ key }) => key), reason: 'settings of a client' }),
    ...others.map(({ path: here, key, known }): Finding => {
      const advice = adviceOf(key);
      const message = advice === undefined ? `unknown key, ignored${didYouMean(key, known)}` : `ignored: ${advice}`;
      return { path: here, message, severity: 'warning', atKey: true };
    }),
  ];
}

/** The key that names WebSocket as the transport, if any. */
export function webSocketKey(entry: JsonObject): string | undefined {
  return ['type', 'transport'].find((key) => {
    const value = entry[key];
    return typeof value === 'string' && /^(ws|wss|websocket)$/i.test(value);
  });
}

/** Checks that an entry has exactly one of a command and a URL, and a type that fits it. */
export function reachFindings(entry: JsonObject, path: Path): Finding[] {
  const socket = webSocketKey(entry);
  if (socket !== undefined) return [{ path: [...path, socket], message: NO_WEB_SOCKET }];
  const urls = URL_KEYS.filter((key) => entry[key] !== undefined);
  const second = urls[1];
  if (entry.command !== undefined && urls[0] !== undefined) {
    return [
      {
        path: [...path, urls[0]],
        atKey: true,
        message: 'an entry has either a "command" or a URL, not both; make two entries of it',
      },
    ];
  }
  if (second !== undefined && urls.some((key) => entry[key] !== entry[urls[0] ?? 'url'])) {
    return [
      { path: [...path, second], atKey: true, message: `"${urls.join('" and "')}" mean the same and differ; keep one` },
    ];
  }
  if (entry.command === undefined && urls.length === 0) return [unreachable(entry, path)];
  return [...typeFindings(entry, path), ...commandFindings(entry, path)];
}

/** The finding for an entry without command and URL; a key that is nearly one of them is the mistake. */
function unreachable(entry: JsonObject, path: Path): Finding {
  const slip = Object.keys(entry).find(
    (key) => !Object.hasOwn(serverEntry.shape, key) && didYouMean(key, REACH) !== '',
  );
  if (slip === undefined) return { path, message: 'the server needs a "command" to start or a "url" to reach' };
  return {
    path: [...path, slip],
    atKey: true,
    message: `unknown key${didYouMean(slip, REACH)} The server needs a "command" or a "url"`,
  };
}

/** Warns of keys without an effect: those of a process in an entry with a URL, and the reverse. */
export function idleKeyWarnings(entry: JsonObject, path: Path): Finding[] {
  if (!REACH.some((key) => entry[key] !== undefined)) return [];
  const idle = entry.command === undefined ? ['args', 'env', 'cwd'] : ['headers', 'tls'];
  const reason = entry.command === undefined ? 'the server is reached over HTTP' : 'the server is a process';
  return idle
    .filter((key) => entry[key] !== undefined)
    .map((key) => ({ path: [...path, key], atKey: true, severity: 'warning', message: `has no effect: ${reason}` }));
}

/** Warns of variables as a shell or Gemini CLI writes them. The message does not repeat the value, which may be a secret that looks like one. */
export function literalWarnings(entry: JsonObject, path: Path): Finding[] {
  return ['env', 'headers'].flatMap((key) => {
    const values = entry[key];
    return Object.entries(isObject(values) ? values : {})
      .filter(([, value]) => typeof value === 'string' && /^(\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%)$/.test(value))
      .map(([name]): Finding => {
        const message = 'is passed on as it stands; if it is to be the value of a variable, write ${env:NAME}';
        return { path: [...path, key, name], severity: 'warning', message };
      });
  });
}

/** Checks the names and values that go unchanged into the environment of a process or the headers of a request. No message has a value. */
export function valueFindings(
  values: { env: Record<string, string>; headers: Record<string, string> },
  path: Path,
): Finding[] {
  const findings: Finding[] = [];
  for (const [name, value] of Object.entries(values.env)) {
    const here = [...path, 'env', name];
    if (!/^[^=\0]+$/.test(name))
      findings.push({ path: here, atKey: true, message: 'is not a name of an environment variable' });
    if (value.includes('\0')) findings.push({ path: here, message: 'contains a NUL character' });
  }
  const seen = new Map<string, string>();
  for (const [name, value] of Object.entries(values.headers)) {
    const here = [...path, 'headers', name];
    const twin = seen.get(name.toLowerCase());
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      findings.push({ path: here, atKey: true, message: 'is not a header name' });
    if (twin !== undefined) findings.push({ path: here, atKey: true, message: `is the same header as "${twin}"` });
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      findings.push({ path: here, message: 'contains a line break or a character that headers cannot carry' });
    seen.set(name.toLowerCase(), name);
  }
  return findings;
}

/** Warns of headers that the gateway sets itself. */
export function ownHeaderWarnings(names: readonly string[], path: Path): Finding[] {
  return names
    .filter((name) => OWN_HEADERS.has(name.toLowerCase()))
    .map((name) => ({
      path: [...path, 'headers', name],
      atKey: true,
      severity: 'warning',
      message: 'ignored: the gateway sets this header itself',
    }));
}

/**
 * Variables that make a program load or run something that its command does not name, and what that is. Variables that only say where a
 * program's own modules are (PYTHONPATH, NODE_PATH) are not among them.
 */
const LOADERS: Readonly<Record<string, string>> = {
  LD_PRELOAD: 'the libraries that it names',
  LD_AUDIT: 'the libraries that it names',
  LD_LIBRARY_PATH: 'libraries of the folders that it names instead of the system’s',
  DYLD_INSERT_LIBRARIES: 'the libraries that it names',
  DYLD_LIBRARY_PATH: 'libraries of the folders that it names instead of the system’s',
  DYLD_FRAMEWORK_PATH: 'libraries of the folders that it names instead of the system’s',
  NODE_OPTIONS: 'whatever its --require and --import name',
  PYTHONSTARTUP: 'the script that it names',
  PYTHONHOME: 'another standard library',
  BASH_ENV: 'the script that it names',
  PERL5OPT: 'the modules that it names',
  RUBYOPT: 'the libraries that it names',
  JAVA_TOOL_OPTIONS: 'the agents that it names',
  JDK_JAVA_OPTIONS: 'the agents that it names',
  _JAVA_OPTIONS: 'the agents that it names',
};

/** Warns of variables with which a pasted entry can start something that its command does not name. */
export function loaderWarnings(names: readonly string[], path: Path): Finding[] {
  return names.flatMap((name) => {
    const loads = Object.hasOwn(LOADERS, name.toUpperCase()) ? LOADERS[name.toUpperCase()] : undefined;
    if (loads === undefined) return [];
    const message = `with this variable the program, and each that it starts, loads ${loads}; keep it only if you know why it is there`;
    return [{ path: [...path, 'env', name], atKey: true, severity: 'warning', message }];
  });
}

function typeFindings(entry: JsonObject, path: Path): Finding[] {
  const given = (['type', 'transport'] as const).filter((key) => entry[key] !== undefined);
  const kinds = given.map((key) => transportOf(entry[key]));
  const [first, second] = kinds;
  const key = given[0];
  if (key === undefined || first === undefined) return [];
  if (second !== undefined && first !== second) {
    return [{ path: [...path, 'transport'], message: '"type" and "transport" mean the same and differ; keep one' }];
  }
  const isProcess = entry.command !== undefined;
  if (isProcess === (first === 'stdio')) return [];
  const message = isProcess
    ? 'a server with a "command" is of type "stdio"; remove the type'
    : 'a server of type "stdio" needs a "command", not a URL';
  return [{ path: [...path, key], message }];
}

function transportOf(type: unknown): string | undefined {
  if (typeof type !== 'string' || !Object.hasOwn(TRANSPORTS, type)) return undefined;
  return TRANSPORTS[type as keyof typeof TRANSPORTS];
}

/** Finds a whole command line in `command`, such as `npx -y some-package`: the most common mistake. An existing path with spaces is none. */
function commandFindings(entry: JsonObject, path: Path): Finding[] {
  const { command } = entry;
  if (typeof command !== 'string' || !/\s/.test(command) || hasReference(command)) return [];
  const [program = '', ...args] = command.split(/\s+/);
  const looksLikePath = /[/\\]/.test(program);
  if (looksLikePath && (existsSync(command) || !existsSync(program))) return [];
  const shown = args.length > 3 ? '[...]' : JSON.stringify(args);
  return [
    {
      path: [...path, 'command'],
      message: `is one program, not a command line; write "command": ${JSON.stringify(program)}, "args": ${shown}`,
    },
  ];
}
