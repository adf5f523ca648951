// The bounds of single messages: their ids and handles, how they are parsed, and what is kept of one that is too long.
import { bounds, HOUR, MIB } from './bound.ts';

// prettier-ignore
export const WIRE = bounds({
  requestId: { value: 1_024, unit: 'characters', scope: 'message', error: 'invalid_request', help: 'JSON-RPC id that is a string. A message with a longer one is refused.' },
  refusedId: { value: 8 * 1_024, unit: 'characters', scope: 'message', help: 'JSON text of the id of a message over `limits.depth` or `limits.items`. The gateway refuses a message with a longer one without naming its id.' },
  methodName: { value: 256, unit: 'characters', scope: 'message', error: 'invalid_request', help: 'Method of a JSON-RPC message. A message with a longer one is refused.' },
  envelopeMembers: { value: 1_000, unit: 'entries', scope: 'message', error: 'invalid_request', help: 'Members of `params`, of `result` or of their `_meta` in a message that is parsed in slices: copying more would hold up other work. A message with more is refused.' },
  slicedMessage: { value: MIB / 8, unit: 'characters', scope: 'message', help: 'Message that is parsed or written in one turn of the event loop. A longer one takes several, between which other work has a turn.' },
  parserReason: { value: 200, unit: 'characters', scope: 'message', help: 'Part of the JSON parser’s reason that an error message repeats. The rest is cut off.' },
  progressToken: { value: 1_024, unit: 'characters', scope: 'call', error: 'invalid_params', help: 'Progress token of a request, which outlives the request where that becomes a task. A request with a longer one is refused.' },
  peerName: { value: 128, unit: 'characters', scope: 'connection', help: 'Name that a client or server gives of itself. The rest is cut off.' },
  peerVersion: { value: 64, unit: 'characters', scope: 'connection', help: 'Version that a client or server gives of itself. The rest is cut off.' },
  forwardedHeaders: { value: 32, unit: 'entries', scope: 'call', error: 'header_mismatch', help: 'Headers `Mcp-Param-*` of one request that the tool’s schema does not name and that the gateway forwards.' },
  forwardedHeaderValue: { value: 4_096, unit: 'characters', scope: 'call', error: 'header_mismatch', help: 'Value of an `Mcp-Param-*` header that the tool’s schema does not name and that the gateway forwards.' },
  blockText: { value: 1_024, unit: 'characters', scope: 'message', help: 'Name, URI or type of a content block in the text that replaces the block for a client whose revision does not have it. The rest is cut off.' },
  taskId: { value: 1_024, unit: 'characters', scope: 'task', help: 'Task id of a server. The gateway takes a longer one for none.' },
  taskStatus: { value: 32, unit: 'characters', scope: 'task', help: 'Status of a legacy task that the gateway keeps. The rest is cut off.' },
  taskStatusMessage: { value: 4_096, unit: 'characters', scope: 'task', help: 'Status message of a legacy task that the gateway keeps. The rest is cut off.' },
  taskTime: { value: 64, unit: 'characters', scope: 'task', help: 'Time of creation or update of a task, as its server writes it. The rest is cut off.' },
  taskPollInterval: { value: 24 * HOUR, unit: 'ms', scope: 'task', help: 'Poll interval of a legacy task that the gateway passes to a modern client. A longer one is lowered to this.' },
  sseOverhead: { value: 4_096, unit: 'bytes', scope: 'message', help: 'Fields and comments of a server-sent event beside its data, which `limits.upstreamMessage` bounds. An event with more is dropped.' },
  sseLines: { value: 10_000, unit: 'lines', scope: 'message', help: 'Lines of one server-sent event: a message is one line, and each line costs as much as hundreds of characters. An event with more is dropped.' },
  endlessMessage: { value: 4, unit: 'times', scope: 'message', help: 'How often `limits.upstreamMessage` fits into a message that is being dropped and does not end. Beyond it the gateway no longer waits for its end: it fails the call or ends the stream.' },
  droppedLine: { value: 256, unit: 'bytes', scope: 'message', help: 'Part of a dropped line of a process that the gateway keeps from its beginning and from its end, to find the call that it answers.' },
  droppedEvent: { value: 512, unit: 'bytes', scope: 'message', help: 'Part of a dropped server-sent event that the gateway keeps from its beginning and from its end, to find the call that it answers.' },
});
