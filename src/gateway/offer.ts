// The capabilities and instructions that an endpoint declares, from the known offers: no server is started for them.
import type { CatalogSource } from '../catalog/catalog.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { LEGACY_TASKS_SINCE } from '../protocol/mcp/tasks.ts';
import { declaresLegacyTasks, declaresTasks, TASKS_CAPABILITY } from '../protocol/mcp/capabilities.ts';
import { MODERN_VERSION } from '../protocol/mcp/vocabulary.ts';
import type { Upstreams } from './upstreams.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';

export interface Declaration {
  readonly capabilities: JsonObject;
  readonly instructions?: string;
}

/**
 * What an endpoint (of all servers, or of one) declares to a client of a revision; undefined where there is no such server. For a server
 * that never answered it declares everything: a client would never use what is not declared.
 */
export function declare(upstreams: Upstreams, server: string | undefined, revision: string): Declaration | undefined {
  if (server === undefined) return declareAll(upstreams.sources(), revision);
  const source = upstreams.usableSource(server, revision === MODERN_VERSION ? 'modern' : 'legacy');
  if (!source) return undefined;
  return upstreams.get(server)?.seen === false ? declareAll([source], revision) : declareOne(source, revision);
}

/** The error for an endpoint of a server that does not exist. */
export function unknownServer(server = ''): GatewayError {
  return new GatewayError('not_found', `There is no server named "${server}" here.`);
}

/** The endpoint of all servers always declares everything: a list may be empty (wire.md, What the gateway offers). `logging` is for legacy clients. */
function declareAll(sources: readonly CatalogSource[], revision: string): Declaration {
  const instructions = mergeInstructions(sources);
  return {
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      completions: {},
      logging: {},
      ...taskCapabilities(revision, { cancel: true }),
    },
    ...(instructions !== undefined && { instructions }),
  };
}

/** The endpoint of one server declares what the server last declared, as far as the gateway carries it. */
function declareOne(source: CatalogSource, revision: string): Declaration {
  const { capabilities: own, instructions } = source.offer;
  const capabilities: JsonObject = {};
  for (const list of ['tools', 'prompts', 'resources']) {
    if (isObject(own[list]))
      capabilities[list] = {
        listChanged: true,
        ...(list === 'resources' && own[list].subscribe === true && { subscribe: true }),
      };
  }
  for (const plain of ['completions', 'logging']) if (isObject(own[plain])) capabilities[plain] = {};
  // a modern client can use tasks at servers of both eras, a legacy client only at legacy servers
  const runsTasks = declaresLegacyTasks(own) || (revision === MODERN_VERSION && declaresTasks(own));
  const cancel = isObject(own.tasks) && isObject(own.tasks.cancel);
  if (runsTasks) Object.assign(capabilities, taskCapabilities(revision, { cancel }));
  return { capabilities, ...(instructions !== undefined && { instructions }) };
}

/** Whether an endpoint declares what a method needs. */
export function isDeclared(declaration: Declaration | undefined, capability: string): boolean {
  if (!declaration) return false;
  const { capabilities } = declaration;
  return capability === 'tasks'
    ? capabilities.tasks !== undefined || declaresTasks(capabilities)
    : capabilities[capability] !== undefined;
}

/** Tasks as a revision declares them: as an extension, as a capability, or not at all. `cancel`: whether a legacy client can cancel them. */
function taskCapabilities(revision: string, { cancel }: { readonly cancel: boolean }): JsonObject {
  if (revision === MODERN_VERSION) return TASKS_CAPABILITY;
  if (revision < LEGACY_TASKS_SINCE) return {};
  return { tasks: { list: {}, ...(cancel && { cancel: {} }), requests: { tools: { call: {} } } } };
}

/** Joins the servers' instructions; undefined where none has any. */
export function mergeInstructions(sources: readonly CatalogSource[]): string | undefined {
  const parts = sources.flatMap(({ alias, offer }) => {
    const text = offer.instructions?.trim();
    if (text === undefined || text === '') return [];
    return [`## ${alias}\n\n${cut(text, BOUNDS.instructionsPart)}`];
  });
  if (parts.length === 0) return undefined;
  return cut(parts.join('\n\n'), BOUNDS.instructions);
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
