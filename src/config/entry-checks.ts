// Checks what several keys of an entry say together, and finds the mistakes that people make there; a path begins in the entry.
import { existsSync } from 'node:fs';
import { isObject, type JsonObject } from '../core/json.ts';
import { TOOL_LISTS } from './formats.ts';
import { ignoredKeys, unknownKeys } from './issues.ts';
import type { Finding } from './positions.ts';
import { didYouMean, type Path } from './problems.ts';
import { hasReference } from './references.ts';
import { serverEntry, type ServerEntry, TRANSPORTS, URL_KEYS } from './schema.ts';

/** Keys of clients that mean nothing here. */
const IDLE_KEYS = new Set(
  (
    'alwaysAllow autoApprove alwaysLoad description name title icon trust gallery version $schema source settings dev ' +
    'sandboxEnabled sandbox faviconUrl watchPaths'
  ).split(' '),
);

/** Keys of clients, and what to use instead. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ...Object.entries(TOOL_LISTS).map(([key, kind]): [string, string] => [key, `use "tools": { "${kind}": [...] }`]),
  ['connectionTimeout', 'use "timeouts": { "connect": ... }'],
  ['envFile', 'the file is not read; use "env" with references such as ${file:path}'],
  ['headersHelper', 'no program is run for headers; use "headers" with references'],
  ['oauth', 'use "headers" with references'],
  ['auth', 'use "headers" with references'],
]);

/** The keys that say how to reach a server; an entry has one of them. */
export const REACH = ['command', ...URL_KEYS];
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

/** The faults of an entry as written. */
export function writtenFaults(entry: JsonObject): Finding[] {
  return [...reachFindings(entry), ...tlsFindings(entry)];
}

/** The warnings about an entry as written. */
export function writtenWarnings(entry: JsonObject): Finding[] {
  return [...unknownKeyWarnings(entry), ...idleKeyWarnings(entry), ...literalWarnings(entry), ...headerWarnings(entry)];
}

/** The faults of the values of an entry, whose references are resolved. No message has a value. */
export function valueFaults(entry: ServerEntry): Finding[] {
  return [...environmentFindings(entry.env), ...headerFindings(entry.headers), ...homeFindings(entry)];
}

function warning(path: Path, message: string): Finding {
  return { path, message, severity: 'warning', atKey: true };
}

/** Warns of unknown keys: those of a client, or misspelt ones. */
function unknownKeyWarnings(entry: JsonObject): Finding[] {
  const unknown = unknownKeys(serverEntry, entry);
  const idle = unknown.filter(({ key }) => IDLE_KEYS.has(key)).map(({ key }) => key);
  const others = unknown.filter(({ key }) => !IDLE_KEYS.has(key));
  return [
    ...ignoredKeys([], { keys: idle, reason: 'settings of a client' }),
    ...others.map(({ path, key, known }) => {
      const advice = ADVICE.get(key);
      return warning(
        path,
        advice === undefined ? `unknown key, ignored${didYouMean(key, known)}` : `ignored: ${advice}`,
      );
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

/** Finds whether an entry has exactly one of a command and a URL, and a type that fits it. */
function reachFindings(entry: JsonObject): Finding[] {
  const socket = webSocketKey(entry);
  if (socket !== undefined) return [{ path: [socket], message: NO_WEB_SOCKET }];
  const [url, ...others] = URL_KEYS.filter((key) => entry[key] !== undefined);
  if (entry.command === undefined && url === undefined) return [unreachable(entry)];
  if (entry.command !== undefined && url !== undefined) {
    const message = 'an entry has either a "command" or a URL, not both; make two entries of it';
    return [{ path: [url], atKey: true, message }];
  }
  const [second] = others;
  if (url !== undefined && second !== undefined && others.some((key) => entry[key] !== entry[url])) {
    const message = `"${[url, ...others].join('" and "')}" mean the same and differ; keep one`;
    return [{ path: [second], atKey: true, message }];
  }
  return [...typeFindings(entry), ...commandFindings(entry)];
}

/** The finding for an entry without command and URL; a key that is nearly one of them is the mistake. */
function unreachable(entry: JsonObject): Finding {
  const slip = Object.keys(entry).find(
    (key) => !Object.hasOwn(serverEntry.shape, key) && didYouMean(key, REACH) !== '',
  );
  if (slip === undefined) return { path: [], message: 'the server needs a "command" to start or a "url" to reach' };
  const message = `unknown key${didYouMean(slip, REACH)} The server needs a "command" or a "url"`;
  return { path: [slip], atKey: true, message };
}

/** Warns of keys without an effect: those of a process in an entry with a URL, and the reverse. */
function idleKeyWarnings(entry: JsonObject): Finding[] {
  if (!REACH.some((key) => entry[key] !== undefined)) return [];
  const [keys, reason] =
    entry.command === undefined
      ? [['args', 'env', 'cwd'], 'the server is reached over HTTP']
      : [['headers', 'tls'], 'the server is a process'];
  return keys.filter((key) => entry[key] !== undefined).map((key) => warning([key], `has no effect: ${reason}`));
}

/** Warns of variables as a shell or Gemini CLI writes them. The message does not repeat the value, which may be a secret that looks like one. */
function literalWarnings(entry: JsonObject): Finding[] {
  return ['env', 'headers'].flatMap((key) =>
    membersOf(entry[key])
      .filter(([, value]) => typeof value === 'string' && /^(\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%)$/.test(value))
      .map(([name]): Finding => {
        const message = 'is passed on as it stands; if it is to be the value of a variable, write ${env:NAME}';
        return { path: [key, name], severity: 'warning', message };
      }),
  );
}

/** Warns of headers that the gateway sets itself. */
function headerWarnings({ headers }: JsonObject): Finding[] {
  return membersOf(headers)
    .filter(([name]) => OWN_HEADERS.has(name.toLowerCase()))
    .map(([name]) => warning(['headers', name], 'ignored: the gateway sets this header itself'));
}

function membersOf(value: JsonObject[string]): [string, unknown][] {
  return Object.entries(isObject(value) ? value : {});
}

/** Finds names and values that cannot go unchanged into the environment of a process. */
function environmentFindings(env: ServerEntry['env']): Finding[] {
  return Object.entries(env).flatMap(([name, value]) => {
    const path = ['env', name];
    return [
      ...(/^[^=\0]+$/.test(name) ? [] : [{ path, atKey: true, message: 'is not a name of an environment variable' }]),
      ...(value.includes('\0') ? [{ path, message: 'contains a NUL character' }] : []),
    ];
  });
}

/** Finds names and values that cannot go unchanged into a request. */
function headerFindings(headers: ServerEntry['headers']): Finding[] {
  const seen = new Map<string, string>();
  return Object.entries(headers).flatMap(([name, value]) => {
    const path = ['headers', name];
    const twin = seen.get(name.toLowerCase());
    seen.set(name.toLowerCase(), name);
    const isName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name);
    const isValue = /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
    return [
      ...(isName ? [] : [{ path, atKey: true, message: 'is not a header name' }]),
      ...(twin === undefined ? [] : [{ path, atKey: true, message: `is the same header as "${twin}"` }]),
      ...(isValue ? [] : [{ path, message: 'contains a line break or a character that headers cannot carry' }]),
    ];
  });
}

function typeFindings(entry: JsonObject): Finding[] {
  const [key, other] = (['type', 'transport'] as const).filter((name) => entry[name] !== undefined);
  const transport = key && transportOf(entry[key]);
  if (key === undefined || transport === undefined) return [];
  const second = other && transportOf(entry[other]);
  if (second !== undefined && transport !== second)
    return [{ path: ['transport'], message: '"type" and "transport" mean the same and differ; keep one' }];
  const isProcess = entry.command !== undefined;
  if (isProcess === (transport === 'stdio')) return [];
  const message = isProcess
    ? 'a server with a "command" is of type "stdio"; remove the type'
    : 'a server of type "stdio" needs a "command", not a URL';
  return [{ path: [key], message }];
}

/** The transport that a type means, if it is one. */
export function transportOf(type: unknown): (typeof TRANSPORTS)[keyof typeof TRANSPORTS] | undefined {
  if (typeof type !== 'string' || !Object.hasOwn(TRANSPORTS, type)) return undefined;
  return TRANSPORTS[type as keyof typeof TRANSPORTS];
}

/** Finds a whole command line in `command`, such as `npx -y some-package`: the most common mistake. An existing path with spaces is none. */
function commandFindings({ command }: JsonObject): Finding[] {
  if (typeof command !== 'string' || !/\s/.test(command) || hasReference(command)) return [];
  const [program = '', ...args] = command.split(/\s+/);
  const looksLikePath = /[/\\]/.test(program);
  if (looksLikePath && (existsSync(command) || !existsSync(program))) return [];
  const shown = args.length > 3 ? '[...]' : JSON.stringify(args);
  const message = `is one program, not a command line; write "command": ${JSON.stringify(program)}, "args": ${shown}`;
  return [{ path: ['command'], message }];
}

function tlsFindings({ tls }: JsonObject): Finding[] {
  if (!isObject(tls) || (tls.cert === undefined) === (tls.key === undefined)) return [];
  return [{ path: ['tls'], message: '"cert" and "key" go together; one of them is missing' }];
}

/** Finds paths such as `~other/x`: `~` alone is supported, as the home of the user who runs the gateway. */
function homeFindings({ command, cwd, tls }: ServerEntry): Finding[] {
  const paths: [Path, string | undefined][] = [
    [['command'], command],
    [['cwd'], cwd],
    [['tls', 'ca'], tls?.ca],
    [['tls', 'cert'], tls?.cert],
    [['tls', 'key'], tls?.key],
  ];
  const message = '~ stands for your own home alone; write the whole path';
  return paths
    .filter(([, text]) => text !== undefined && /^~[\w.-]+[/\\]/.test(text))
    .map(([path]) => ({ path, message }));
}
