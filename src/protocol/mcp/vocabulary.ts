// The vocabulary of the protocol: revisions and their eras, methods, log levels, and the keys of `_meta`.
import type { Era, OfferKind } from '../../core/call.ts';
import { LEGACY_TASKS_SINCE } from './tasks.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError } from '../../core/errors.ts';
import { exactText, firstOf, isObject, type JsonObject } from '../../core/json.ts';

export interface CallMethod {
  /** The eras that have it. */
  readonly eras: readonly Era[];
  /** The capability that a server must declare for it. */
  readonly capability: 'tools' | 'prompts' | 'resources' | 'completions' | 'tasks' | undefined;
  /** The first legacy revision that has it; absent where all have it. */
  readonly since?: string;
  /** The kind of thing that it lists. */
  readonly lists?: OfferKind;
  /** The parameter that names its target, and the target's kind. */
  readonly names?: { readonly param: 'name' | 'uri'; readonly kind: OfferKind };
  /** Its `taskId` names a task, and with it a tool. */
  readonly ofTask?: true;
  /** Its results carry `ttlMs` and `cacheScope` (server/utilities/caching). */
  readonly cacheable?: true;
}

const both = ['legacy', 'modern'] as const;

/** Every method that goes through the pipeline. */
export const CALL_METHODS: ReadonlyMap<string, CallMethod> = new Map<string, CallMethod>([
  ['tools/list', { eras: both, capability: 'tools', lists: 'tool', cacheable: true }],
  ['tools/call', { eras: both, capability: 'tools', names: { param: 'name', kind: 'tool' } }],
  ['prompts/list', { eras: both, capability: 'prompts', lists: 'prompt', cacheable: true }],
  ['prompts/get', { eras: both, capability: 'prompts', names: { param: 'name', kind: 'prompt' } }],
  ['resources/list', { eras: both, capability: 'resources', lists: 'resource', cacheable: true }],
  ['resources/templates/list', { eras: both, capability: 'resources', lists: 'resourceTemplate', cacheable: true }],
  [
    'resources/read',
    { eras: both, capability: 'resources', names: { param: 'uri', kind: 'resource' }, cacheable: true },
  ],
  ['resources/subscribe', { eras: ['legacy'], capability: 'resources', names: { param: 'uri', kind: 'resource' } }],
  ['resources/unsubscribe', { eras: ['legacy'], capability: 'resources', names: { param: 'uri', kind: 'resource' } }],
  ['completion/complete', { eras: both, capability: 'completions' }],
  ['tasks/get', { eras: both, capability: 'tasks', since: LEGACY_TASKS_SINCE, ofTask: true }],
  ['tasks/update', { eras: ['modern'], capability: 'tasks', ofTask: true }],
  ['tasks/result', { eras: ['legacy'], capability: 'tasks', since: LEGACY_TASKS_SINCE, ofTask: true }],
  ['tasks/cancel', { eras: both, capability: 'tasks', since: LEGACY_TASKS_SINCE, ofTask: true }],
  ['tasks/list', { eras: ['legacy'], capability: 'tasks', since: LEGACY_TASKS_SINCE }],
  ['subscriptions/listen', { eras: ['modern'], capability: undefined }],
]);

/** The methods that only end what their caller has at a server. */
export const RELEASING_METHODS: ReadonlySet<string> = new Set(['resources/unsubscribe']);

/** The key under which a list result has its entries. */
export const LIST_KEYS: Readonly<Record<OfferKind, string>> = {
  tool: 'tools',
  prompt: 'prompts',
  resource: 'resources',
  resourceTemplate: 'resourceTemplates',
};

/** The methods that need `Mcp-Name`, and the parameter that it repeats (streamable-http, Standard Request Headers; tasks extension, Routing Headers). */
export const NAMED_METHODS: Readonly<Record<string, 'name' | 'uri' | 'taskId'>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

export const MODERN_VERSION = '2026-07-28';

/** Newest first. */
export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

export const NEWEST_LEGACY = LEGACY_VERSIONS[0];

/** The revisions that `server/discover` and error -32022 name, newest first. */
export const SUPPORTED_VERSIONS: readonly string[] = [MODERN_VERSION, ...LEGACY_VERSIONS];

const legacy: ReadonlySet<string> = new Set(LEGACY_VERSIONS);

/** Tells whether a revision has `initialize` and sessions. */
export function isLegacyVersion(version: string): boolean {
  return legacy.has(version);
}

/** The revision for the answer to `initialize`: the requested one, else the newest legacy one. */
export function negotiateLegacy(requested: unknown): string {
  return typeof requested === 'string' && legacy.has(requested) ? requested : NEWEST_LEGACY;
}

export const META = {
  version: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const;

/** Severities of `notifications/message`, least first (RFC 5424). */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Tells whether a value is one of the log levels. */
export function isLogLevel(value: unknown): value is LogLevel {
  return typeof value === 'string' && (LOG_LEVELS as readonly string[]).includes(value);
}

/** Tells whether a line of `level` passes a threshold; an unknown level passes none. */
export function passesLevel(level: unknown, threshold: LogLevel): boolean {
  return isLogLevel(level) && LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(threshold);
}

export type ProgressToken = string | number;

/**
 * The progress token of a request's `_meta`, if it has a valid one (basic/patterns/progress). Throws `invalid_params` for one that is too
 * long.
 */
export function progressTokenOf(meta: JsonObject | undefined): ProgressToken | undefined {
  const token = meta?.progressToken;
  if (typeof token === 'string' && token.length > BOUNDS.progressToken)
    throw new GatewayError(
      'invalid_params',
      `\`_meta.progressToken\` must be of at most ${BOUNDS.progressToken} characters.`,
    );
  // a number that JavaScript cannot hold is written back with its own text
  const isToken = typeof token === 'string' || Number.isSafeInteger(token) || exactText(token) !== undefined;
  return isToken ? (token as ProgressToken) : undefined;
}

const isProtocolKey = (key: string): boolean => key === 'progressToken' || key.startsWith('io.modelcontextprotocol/');

/** The keys of a `_meta` that are not the protocol's: those of vendors and trace context. Undefined where there are none. */
export function foreignMeta(meta: unknown): JsonObject | undefined {
  if (!isObject(meta)) return undefined;
  let kept: JsonObject | undefined;
  for (const key in meta) {
    if (!isProtocolKey(key)) (kept ??= {})[key] = meta[key];
  }
  return kept;
}

/** Params without the protocol's keys in `_meta`, and without `_meta` where it has no others. */
export function withoutProtocolMeta(params: JsonObject): JsonObject {
  if (params._meta === undefined) return params;
  const { _meta, ...rest } = params;
  const kept = foreignMeta(_meta);
  return kept === undefined ? rest : { ...rest, _meta: kept };
}

/** Reads an `Implementation`, and cuts its name and version. */
export function readPeer(value: unknown): { name: string; version: string } | undefined {
  if (!isObject(value) || typeof value.name !== 'string') return undefined;
  const version = typeof value.version === 'string' ? value.version : '';
  return { name: firstOf(value.name, BOUNDS.peerName), version: firstOf(version, BOUNDS.peerVersion) };
}
