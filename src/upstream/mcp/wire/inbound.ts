// Reading what a server sends: parsed once, and where it is broken, whose answer it would have been.
import { isObject } from '../../../core/json.ts';
import { type Frame, readFrame } from '../../../protocol/mcp/frames.ts';
import { parseStrict } from '../../../protocol/mcp/strict-json.ts';

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
