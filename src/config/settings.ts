// Reads the settings of the main file, which is all but its servers: checks them as a whole and resolves tokens.
import { isObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { TokenConfig } from './config.ts';
import { isShortToken, SHORTEST_TOKEN } from './exposure.ts';
import { check } from './issues.ts';
import { type Document, type Finding, positionAt, problemAt } from './positions.ts';
import type { Path, Problem } from './problems.ts';
import { expand, pathKey, type ReferenceSource } from './references.ts';
import { type Settings, settingsSchema } from './schema.ts';

/** The settings, if their shape is right, and their problems, of which any makes the file invalid. */
interface SettingsRead {
  readonly values?: Settings;
  readonly tokens: readonly TokenConfig[];
  /** The files that references to tokens name. */
  readonly files: readonly string[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** What references are resolved against, and the top-level keys that are not settings. */
interface SettingsSource extends Pick<ReferenceSource, 'env' | 'directory'> {
  readonly foreign: ReadonlySet<string>;
}

/** Reads the settings and resolves the tokens. Never throws. */
export function readSettings(document: Document, { directory, env, foreign }: SettingsSource): SettingsRead {
  const { value } = document;
  if (document.root === undefined || value === undefined) return { tokens: [], files: [], problems: [], warnings: [] };
  const locate = (findings: readonly Finding[]) => findings.map((finding) => problemAt(document, finding));
  const raw = isObject(value) ? Object.fromEntries(Object.entries(value).filter(([key]) => !foreign.has(key))) : value;
  const expansion = expand(raw, { directory, env, refuse: strayReference });
  const { data, findings } = check(settingsSchema, expansion.value);
  const broken = new Set(expansion.faults.map(({ path }) => pathKey(path)));
  const tokens = data?.auth.tokens ?? [];
  const problems = locate([
    ...document.refused.filter(({ path }) => path.length === 1 || !foreign.has(String(path[0]))),
    ...findings.filter(({ path, atKey }) => atKey === true || !broken.has(pathKey(path))),
    ...expansion.faults,
    ...(broken.size === 0 ? repeatedTokens(tokens) : []),
  ]);
  const warnings = locate(broken.size === 0 ? weakTokens(tokens, expansion.referring) : []);
  const wrapped = tokens.map(({ id, token, groups }, index) => ({
    id,
    token: new Secret(token),
    groups,
    source: { file: document.file, ...positionAt(document, { path: ['auth', 'tokens', index, 'token'] }) },
  }));
  return {
    ...(data && { values: data }),
    tokens: wrapped,
    files: expansion.files,
    problems,
    warnings,
  };
}

/** Why references at a path of the settings are not resolved; undefined for the tokens. */
function strayReference([top, list, , key]: Path): string | undefined {
  if (top === 'auth' && list === 'tokens' && key === 'token') return undefined;
  return 'references are read only inside the entries of servers and in auth.tokens[].token';
}

function repeatedTokens(tokens: Settings['auth']['tokens']): Finding[] {
  return tokens.flatMap(({ id, token }, index) => {
    const before = tokens.slice(0, index);
    const path = ['auth', 'tokens', index];
    const sameId = before.some((other) => other.id === id);
    const sameToken = before.find((other) => other.token === token);
    return [
      ...(sameId ? [{ path: [...path, 'id'], message: 'another token has the same id' }] : []),
      ...(sameToken ? [{ path: [...path, 'token'], message: `is the same token as that of "${sameToken.id}"` }] : []),
    ];
  });
}

function weakTokens(tokens: Settings['auth']['tokens'], referring: ReadonlySet<string>): Finding[] {
  return tokens.flatMap(({ token }, index) => {
    const path = ['auth', 'tokens', index, 'token'];
    const severity = 'warning' as const;
    const literal = !referring.has(pathKey(path));
    return [
      ...(literal
        ? [{ path, severity, message: 'the token stands in the file; write a reference: ${env:NAME} or ${file:path}' }]
        : []),
      ...(isShortToken(token)
        ? [{ path, severity, message: `the token is shorter than ${SHORTEST_TOKEN} bytes and can be guessed` }]
        : []),
    ];
  });
}
