// Reads the settings of the main file, which is all but its servers: checks them as a whole and resolves tokens.
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { TokenConfig } from './config.ts';
import { isShortToken, SHORTEST_TOKEN } from './exposure.ts';
import { findingsOf } from './issues.ts';
import { type Document, type Finding, positionAt, problemAt } from './positions.ts';
import type { Problem } from './problems.ts';
import { expand, hasReference, pathKey, type ReferenceSource } from './references.ts';
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
interface SettingsSource extends ReferenceSource {
  readonly foreign: ReadonlySet<string>;
}

/** Reads the settings and resolves the tokens. Never throws. */
export function readSettings(document: Document, { directory, env, foreign }: SettingsSource): SettingsRead {
  if (document.root === undefined) return { tokens: [], files: [], problems: [], warnings: [] };
  const own = Object.entries(isObject(document.value) ? document.value : {}).filter(([key]) => !foreign.has(key));
  const raw: JsonObject = Object.fromEntries(own);
  const locate = (findings: readonly Finding[]) => findings.map((finding) => problemAt(document, finding));
  const secrets = expand(tokenSlots(raw), ['auth', 'tokens'], { directory, env });
  const parsed = settingsSchema.safeParse(isObject(document.value) ? withTokens(raw, secrets.value) : document.value);
  const issues = parsed.success
    ? []
    : findingsOf(parsed.error.issues, { schema: settingsSchema, value: document.value, path: [] });
  const broken = new Set([...secrets.unset, ...secrets.malformed].map(({ path }) => pathKey(path)));
  const tokens = parsed.success ? parsed.data.auth.tokens : [];
  const problems = locate([
    ...document.refused.filter(({ path }) => path.length === 1 || !foreign.has(String(path[0]))),
    ...issues.filter(({ path }) => !broken.has(pathKey(path))),
    ...secrets.unset,
    ...secrets.malformed,
    ...strayReferences(raw, []),
    ...(broken.size === 0 ? repeatedTokens(tokens) : []),
  ]);
  const warnings = locate(broken.size === 0 ? weakTokens(tokens, secrets.referring) : []);
  const wrapped = tokens.map(({ id, token, groups }, index) => ({
    id,
    token: new Secret(token),
    groups,
    source: { file: document.file, ...positionAt(document, { path: ['auth', 'tokens', index, 'token'] }) },
  }));
  return {
    ...(parsed.success ? { values: parsed.data } : {}),
    tokens: wrapped,
    files: secrets.files,
    problems,
    warnings,
  };
}

/** The part of the settings that may have references: one `{ token }` for each token. */
function tokenSlots(raw: JsonObject): JsonValue[] {
  const tokens = isObject(raw.auth) ? raw.auth.tokens : undefined;
  if (!Array.isArray(tokens)) return [];
  return tokens.map((entry) => (isObject(entry) && typeof entry.token === 'string' ? { token: entry.token } : {}));
}

function withTokens(raw: JsonObject, slots: JsonValue): JsonObject {
  const { auth } = raw;
  if (!isObject(auth) || !Array.isArray(auth.tokens) || !Array.isArray(slots)) return raw;
  const tokens = auth.tokens.map((entry, index) => {
    const slot = slots[index];
    return isObject(entry) && isObject(slot) ? { ...entry, ...slot } : entry;
  });
  return { ...raw, auth: { ...auth, tokens } };
}

/** Finds references elsewhere in the settings, where the gateway does not resolve them. */
function strayReferences(value: JsonValue | undefined, path: readonly (string | number)[]): Finding[] {
  if (path[0] === 'auth' && path.at(-1) === 'token') return [];
  if (typeof value === 'string') {
    const message = 'references are read only inside the entries of servers and in auth.tokens[].token';
    return hasReference(value) ? [{ path, message }] : [];
  }
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item, index) => strayReferences(item, [...path, index]));
  return Object.entries(value).flatMap(([key, item]) => strayReferences(item, [...path, key]));
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
