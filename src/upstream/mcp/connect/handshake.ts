// Finds out what a server speaks: sends `server/discover` first, `initialize` if that fails (wire.md, Probing an upstream).
import type { Timeouts } from '../../../config/config.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { Era, Peer } from '../../../core/call.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { firstOf, isObject, type JsonObject } from '../../../core/json.ts';
import { within } from '../../../core/cancellation.ts';
import {
  isLegacyVersion,
  LEGACY_VERSIONS,
  META,
  MODERN_VERSION,
  NEWEST_LEGACY,
  readPeer,
} from '../../../protocol/mcp/vocabulary.ts';
import { declaresLegacyTasks, declaresTasks, TASKS_CAPABILITY } from '../../../protocol/mcp/capabilities.ts';
import type { Handshake } from './connection.ts';
import { isInconclusive, transportError } from '../wire/http-errors.ts';
import { HttpRejection, type Wire, type WireReply } from '../wire/wire.ts';

export interface HandshakeOptions {
  readonly server: string;
  readonly client: Peer;
  readonly timeouts: Timeouts;
  /** What the gateway declares to a legacy server. */
  readonly capabilities: JsonObject;
  /** The era that an earlier handshake found: a legacy server does not get `server/discover` again. */
  readonly assumed?: Era | undefined;
  /** Where no other era will do, the handshake fails with `EraRefused` instead of trying it. */
  readonly only?: Era | undefined;
}

const DISCOVER = 'server/discover';

const UNSUPPORTED_VERSION = -32022;

/** The server is modern, but got `initialize` before that showed: it needs a new connection. */
export class SlowModern extends Error {
  override readonly name = 'SlowModern';
}

/** The server answered, and does not speak the only era that was asked for. */
export class EraRefused extends GatewayError {}

type Verdict = { readonly kind: 'modern'; readonly handshake: Handshake } | { readonly kind: 'legacy' };

/** Makes the handshake. Throws GatewayError; an inconclusive answer is an error, never a verdict about the era. */
export async function shakeHands(wire: Wire, options: HandshakeOptions): Promise<Handshake> {
  // HTTP+SSE is older than the probe, and what speaks it is legacy
  const legacy = options.assumed === 'legacy' || wire.transport === 'sse';
  const found = legacy ? await initialize(wire, options) : await probe(wire, options);
  wire.adopt(found);
  if (found.era === 'legacy') await wire.notify('notifications/initialized', {});
  return found;
}

async function probe(wire: Wire, options: HandshakeOptions): Promise<Handshake> {
  const discovery = discover(wire, options);
  // a server that is known to be modern may start slowly
  const patient = wire.transport !== 'stdio' || options.assumed === 'modern' || options.only === 'modern';
  const verdict = await (patient ? discovery : within(discovery, BOUNDS.probeSilence));
  if (verdict?.kind === 'modern') return verdict.handshake;
  if (verdict?.kind === 'legacy') {
    if (options.only !== 'modern') return initialize(wire, options);
    throw new EraRefused('upstream_protocol', `The server "${options.server}" does not speak ${MODERN_VERSION}.`);
  }
  return firstConclusive(discovery, initialize(wire, options));
}

/**
 * Waits for both answers: a modern server refuses `initialize`, a legacy one `server/discover`. A server that accepts both was only slow to
 * start, and `initialize` may have made it legacy: throws `SlowModern`.
 */
async function firstConclusive(discovery: Promise<Verdict>, initialized: Promise<Handshake>): Promise<Handshake> {
  const modern = discovery.then((verdict) => {
    if (verdict.kind === 'modern') return verdict.handshake;
    throw new Error('the server is not modern');
  });
  const found = await Promise.any([initialized, modern]).catch(() => undefined);
  if (!found) return initialized; // both failed: the error of `initialize` explains more
  if (found.era === 'legacy') {
    // servers answer in order, so an answer to `server/discover` that came together with this one was read already
    if (await Promise.race([modern.catch(() => undefined), immediate()])) throw new SlowModern();
    return found;
  }
  const accepted = initialized.then(
    () => true,
    () => false,
  );
  if (await within(accepted, BOUNDS.probeSilence)) throw new SlowModern();
  return found;
}

function immediate(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

async function discover(wire: Wire, options: HandshakeOptions, retry = true): Promise<Verdict> {
  const meta = {
    [META.version]: MODERN_VERSION,
    [META.clientInfo]: { ...options.client },
    [META.clientCapabilities]: {},
  };
  let reply: WireReply;
  try {
    const params = { _meta: meta };
    reply = await wire.request({ method: DISCOVER, params, totalMs: options.timeouts.start, starts: true });
  } catch (error) {
    if (error instanceof HttpRejection && error.status >= 400 && !isInconclusive(error.status))
      return { kind: 'legacy' };
    if (wire.transport === 'stdio') throw error;
    throw transportError(options.server, error, options.timeouts);
  }
  if (reply.result) return readDiscovery(reply.result, options.server);
  const supported = supportedOf(reply.error);
  if (!supported) {
    wire.refusedProbe?.(DISCOVER);
    return { kind: 'legacy' };
  }
  if (!supported.includes(MODERN_VERSION)) return legacyOf(supported, options.server);
  // the server refuses a version that it names as supported: the gateway tries once more (wire.md, Shapes across eras)
  if (retry) return discover(wire, options, false);
  const message = `The server "${options.server}" refuses ${MODERN_VERSION} and names it as what it supports.`;
  throw new GatewayError('upstream_protocol', message);
}

function readDiscovery(result: JsonObject, server: string): Verdict {
  const versions = result.supportedVersions;
  if (!Array.isArray(versions)) return { kind: 'legacy' };
  if (!versions.includes(MODERN_VERSION)) return legacyOf(versions, server);
  return {
    kind: 'modern',
    handshake: { era: 'modern', version: MODERN_VERSION, ...readIdentity(result, serverInfoOf(result)) },
  };
}

function serverInfoOf(result: JsonObject): unknown {
  const meta = result._meta;
  return isObject(meta) ? meta[META.serverInfo] : undefined;
}

/** The versions that a refusal names; undefined if it is about something else. */
function supportedOf(error: WireReply['error']): readonly unknown[] | undefined {
  if (error?.code !== UNSUPPORTED_VERSION || !isObject(error.data)) return undefined;
  const { supported } = error.data;
  return Array.isArray(supported) ? supported : undefined;
}

/** A modern server without our revision: usable only if it also speaks a legacy one that we know. */
function legacyOf(versions: readonly unknown[], server: string): Verdict {
  if (versions.some((version) => typeof version === 'string' && isLegacyVersion(version))) return { kind: 'legacy' };
  const message = `The server "${server}" speaks ${quoted(versions)}; the gateway speaks ${MODERN_VERSION} and ${LEGACY_VERSIONS.join(', ')}.`;
  throw new GatewayError('upstream_protocol', message);
}

async function initialize(wire: Wire, options: HandshakeOptions): Promise<Handshake> {
  const { server, timeouts } = options;
  const params = {
    protocolVersion: NEWEST_LEGACY,
    capabilities: options.capabilities,
    clientInfo: { ...options.client },
  };
  let reply: WireReply;
  try {
    reply = await wire.request({ method: 'initialize', params, totalMs: timeouts.start, starts: true });
  } catch (error) {
    if (error instanceof HttpRejection && [400, 404, 405].includes(error.status)) {
      const said = error.answer?.error ? ` ("${error.answer.error.message.slice(0, BOUNDS.quotedError)}")` : '';
      const message = `The server "${server}" answered HTTP ${error.status}${said} to both server/discover and initialize: its URL is not a Streamable HTTP endpoint of MCP.`;
      throw new EraRefused('upstream_rejected', message, {
        detail: error.body.slice(0, BOUNDS.quotedOutput),
        cause: error,
      });
    }
    throw transportError(server, error, timeouts);
  }
  if (!reply.result) {
    throw new EraRefused(
      'upstream_protocol',
      `The server "${server}" refused initialize: ${reasonOf(reply.error?.message).slice(0, BOUNDS.quotedError)}`,
    );
  }
  const version = reply.result.protocolVersion;
  if (typeof version !== 'string' || !isLegacyVersion(version)) {
    throw new EraRefused(
      'upstream_protocol',
      `The server "${server}" answered initialize with the version ${quoted(version)}, which the gateway does not speak.`,
    );
  }
  return { era: 'legacy', version, ...readIdentity(reply.result, reply.result.serverInfo) };
}

/** A value of the server as part of an error message. */
function quoted(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  return (json ?? 'nothing').slice(0, BOUNDS.quotedValue);
}

/** What each instance keeps of its server, bounded. */
function readIdentity(result: JsonObject, info: unknown): Omit<Handshake, 'era' | 'version'> {
  const { capabilities, instructions } = result;
  const serverInfo = readPeer(info);
  return {
    capabilities: knownServerCapabilities(capabilities),
    ...(serverInfo && { serverInfo }),
    ...(typeof instructions === 'string' && { instructions: firstOf(instructions, BOUNDS.instructions) }),
  };
}

/** The capabilities that are objects of flags, and their flags. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  tools: ['listChanged'],
  prompts: ['listChanged'],
  resources: ['listChanged', 'subscribe'],
  completions: [],
  logging: [],
};

/** The known capabilities of a server of either era. */
export function knownServerCapabilities(declared: unknown): JsonObject {
  if (!isObject(declared)) return {};
  const known: JsonObject = {};
  for (const [name, flags] of Object.entries(FLAGS)) {
    const given = declared[name];
    if (isObject(given))
      known[name] = Object.fromEntries(flags.filter((flag) => given[flag] === true).map((flag) => [flag, true]));
  }
  const { tasks } = declared;
  if (isObject(tasks)) {
    known.tasks = {
      ...(isObject(tasks.list) && { list: {} }),
      ...(isObject(tasks.cancel) && { cancel: {} }),
      ...(declaresLegacyTasks(declared) && { requests: { tools: { call: {} } } }),
    };
  }
  return declaresTasks(declared) ? { ...known, ...TASKS_CAPABILITY } : known;
}
