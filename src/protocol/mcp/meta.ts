// `_meta`: the keys of the protocol, which are hop by hop, and all others, which the gateway passes on.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError } from '../../core/errors.ts';
import { exactText, firstOf, isObject, type JsonObject } from '../../core/json.ts';
import { knownCapabilities } from './client-capabilities.ts';

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

/** What a modern request says about its sender. */
export interface ModernMeta {
  readonly version: string;
  /** The capabilities that the gateway knows. */
  readonly capabilities: JsonObject;
  readonly client: { name: string; version: string } | undefined;
  readonly logLevel: LogLevel | undefined;
}

/** Reads the per-request fields of a modern request (basic/index, Per-request protocol fields). Throws `invalid_params`. */
export function readModernMeta(params: JsonObject): ModernMeta {
  const meta = params._meta;
  if (!isObject(meta)) throw missing(META.version);
  const version = meta[META.version];
  const capabilities = meta[META.clientCapabilities];
  const level = meta[META.logLevel];
  if (typeof version !== 'string') throw missing(META.version);
  if (!isObject(capabilities)) throw missing(META.clientCapabilities);
  if (level !== undefined && !isLogLevel(level)) {
    throw new GatewayError('invalid_params', `\`_meta["${META.logLevel}"]\` must be one of ${LOG_LEVELS.join(', ')}.`);
  }
  const client = readPeer(meta[META.clientInfo]);
  return {
    version,
    capabilities: knownCapabilities(capabilities),
    client,
    logLevel: level,
  };
}

const missing = (key: string) =>
  new GatewayError('invalid_params', `\`params._meta["${key}"]\` is required on every request of 2026-07-28.`);

/** Reads an `Implementation`, and cuts its name and version. */
export function readPeer(value: unknown): { name: string; version: string } | undefined {
  if (!isObject(value) || typeof value.name !== 'string') return undefined;
  const version = typeof value.version === 'string' ? value.version : '';
  return { name: firstOf(value.name, BOUNDS.peerName), version: firstOf(version, BOUNDS.peerVersion) };
}
