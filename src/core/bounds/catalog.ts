// The bounds of what servers offer: names, definitions, instructions, and the URIs of resources.
import { bounds } from './bound.ts';

// prettier-ignore
export const CATALOG = bounds({
  exposedName: { value: 54, unit: 'characters', scope: 'definition', help: 'Name of a tool or prompt that clients see; with the client key `gw` it fits the limits of Claude, Gemini, Cursor and VS Code. A longer name is cut, and a hash makes it unique.' },
  keptNames: { value: 20_000, unit: 'entries', scope: 'server', help: 'Names given to the tools of one server, to its prompts, and to what other servers offer under the same URI, that the gateway keeps: twice as many as it can offer at once. One more makes it forget the oldest name of something that the server no longer offers.' },
  catalogWarnings: { value: 100, unit: 'entries', scope: 'server', help: 'Warnings about the definitions of one server. Those that follow are left out.' },
  warningExcerpt: { value: 100, unit: 'characters', scope: 'definition', help: 'Part of a name, URI or reason that a warning about a definition repeats. The rest is cut off.' },
  instructionsPart: { value: 2_000, unit: 'characters', scope: 'server', help: 'Instructions of one server in the joined instructions, since clients cut instructions and no server may displace the others. The rest is cut off.' },
  instructions: { value: 16_000, unit: 'characters', scope: 'gateway', help: 'Instructions of all servers together, and those of one server at its own endpoint. The rest is cut off.' },
  inputSchemaNodes: { value: 10_000, unit: 'entries', scope: 'definition', help: 'Nodes of the input schema of a tool. A tool with more is not offered.' },
  outputSchemaNodes: { value: 10_000, unit: 'entries', scope: 'definition', help: 'Nodes of the output schema of a tool. Legacy clients get the tool without a schema that has more.' },
  outputSchemaDepth: { value: 100, unit: 'levels', scope: 'definition', help: 'Nesting of the output schema of a tool. Legacy clients get the tool without a deeper schema.' },
  templateExpressions: { value: 16, unit: 'entries', scope: 'definition', help: 'Expressions in one URI template, which bound the work of a match. A template with more matches no URI.' },
  templateUri: { value: 8_192, unit: 'characters', scope: 'message', help: 'URI that is matched against URI templates. A longer one matches no template.' },
  seenPrincipals: { value: 1_000, unit: 'entries', scope: 'gateway', help: 'Principals for whom the gateway remembers URIs in results. One more makes it forget those of the principal that was added first.' },
  seenUris: { value: 500, unit: 'entries', scope: 'server', help: 'URIs in results of one server that the gateway remembers for one principal. One more makes it forget the oldest.' },
  seenUri: { value: 2_048, unit: 'characters', scope: 'message', help: 'URI in a result that the gateway remembers. It does not remember a longer one.' },
  seenBlocks: { value: 500, unit: 'entries', scope: 'message', help: 'Entries of one list in a result in which the gateway looks for URIs. It does not look at the rest.' },
  parentUri: { value: 2_048, unit: 'characters', scope: 'message', help: 'URI of an updated resource for which the gateway also notifies subscribers of the resources above it. A longer one has none above it.' },
  parentLevels: { value: 64, unit: 'levels', scope: 'message', help: 'Levels above an updated resource. A deeper one has none above it.' },
});
