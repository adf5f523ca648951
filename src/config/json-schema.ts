// The JSON Schema of the configuration, for editors; mcp-gateway.schema.json is this.
import { z } from 'zod';
import type { JsonObject } from '../core/json.ts';
import { SERVER_NAME, configSchema } from './schema.ts';

/** Returns the JSON Schema of the main file; one server is its definition `Server`. */
export function configJsonSchema(): JsonObject {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7', override: describeMap });
  return { ...(schema as JsonObject), allowComments: true, allowTrailingCommas: true };
}

/** Names of servers are checked by the loader, which says where the fault is; the schema says it as a pattern. */
function describeMap({
  jsonSchema,
  path,
}: {
  jsonSchema: { propertyNames?: unknown };
  path: (string | number)[];
}): void {
  if (path.join('.') === 'properties.mcpServers') jsonSchema.propertyNames = { pattern: SERVER_NAME.source };
}
