// What an endpoint declares about itself: capabilities and instructions, from what is known without waking anybody.
import { mergeInstructions } from '../catalog/instructions.ts';
import { type CatalogSource } from '../catalog/catalog.ts';
import { isObject, type JsonObject } from '../core/json.ts';

export interface Declaration {
  readonly capabilities: JsonObject;
  readonly instructions?: string;
}

/** The aggregate always declares everything; empty lists are fine (wire.md, What the gateway offers). Logging is for legacy clients. */
export function declareAll(sources: readonly CatalogSource[]): Declaration {
  const instructions = mergeInstructions(sources);
  return {
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      completions: {},
      logging: {},
    },
    ...(instructions !== undefined && { instructions }),
  };
}

/** One server's endpoint declares what that server last declared, of what the gateway carries. */
export function declareOne(source: CatalogSource): Declaration {
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
  return { capabilities, ...(instructions !== undefined && { instructions }) };
}
