// What a server sends: parsed once, sorted into answers, notifications and questions.
import { isObject, type JsonObject } from '../../core/json.ts';
import { errorText, type Frame, readFrame, type RequestFrame, resultText } from '../../protocol/mcp/frames.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';

/** Servers may nest deeper than callers, but not without end: what is passed on must be written again. */
const UPSTREAM_DEPTH = 512;

/** Reads one message of a server. Throws GatewayError where it is not one. */
export function readInbound(text: string): Frame {
  return readFrame(parseStrict(text, { depth: UPSTREAM_DEPTH, uniqueKeys: false }));
}

/** The request that a message answers although it breaks the rules of an answer; undefined where that is not sure. */
export function brokenAnswerId(text: string): number | undefined {
  try {
    const value = parseStrict(text, { depth: UPSTREAM_DEPTH, uniqueKeys: false });
    if (!isObject(value) || value.method !== undefined) return undefined;
    return typeof value.id === 'number' ? value.id : undefined;
  } catch {
    return undefined; // not JSON: nobody's answer
  }
}

/** Our answer to a server's own request: ping is answered, everything else is not declared and so refused. */
export function answerTo(frame: RequestFrame): string {
  if (frame.method === 'ping') return resultText(frame.id, '{}');
  return errorText(frame.id, {
    code: -32601,
    message: `The gateway did not declare ${frame.method.slice(0, 64)} to this server.`,
  });
}

/** The progress token of a notification, as the wire gave it out. */
export function tokenOf(params: JsonObject): number | undefined {
  const token = params.progressToken;
  return typeof token === 'number' ? token : undefined;
}
