// The JSON Schema of the configuration, for editors; mcp-gateway.schema.json is this.
import { z } from 'zod';
import type { JsonObject } from '../core/json.ts';
import { SERVER_NAME, configSchema } from './schema.ts';

/** The JSON Schema of the main file; its definition `Server` is that of one server. */
export function configJsonSchema(): JsonObject {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7', override: describeMap });
  return { ...(schema as JsonObject), allowComments: true, allowTrailingCommas: true };
}

/** Adds the pattern of server names, which the zod schema does not have: the loader checks names, and says where a fault is. */
function describeMap({
  jsonSchema,
  path,
}: {
  jsonSchema: { propertyNames?: unknown };
  path: (string | number)[];
}): void {
  if (path.join('.') === 'properties.mcpServers') jsonSchema.propertyNames = { pattern: SERVER_NAME.source };
}
