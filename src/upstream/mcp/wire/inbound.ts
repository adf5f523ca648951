// Reads the messages of a server; of a broken one, finds the request that it answers.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { isObject, type JsonValue } from '../../../core/json.ts';
import { answeredId, type Frame, readFrame } from '../../../protocol/mcp/frames.ts';
import { OverLimit, readStrict } from '../../../protocol/mcp/strict-json.ts';

export interface InboundOptions {
  readonly server: string;
  /** Most array elements and object members of one message. */
  readonly maxItems: number;
}

/** An answer that is not MCP or over a limit. Its caller gets this error. */
export class BrokenAnswer extends GatewayError {
  /** The request that it answers. */
  readonly id: number;

  constructor(id: number, code: 'upstream_protocol' | 'upstream_message_too_large', message: string) {
    super(code, message);
    this.id = id;
  }
}

/**
 * Reads one message of a server; only a long one takes several turns of the event loop. Throws, or rejects with, GatewayError: `BrokenAnswer`
 * if the message shows which request it answers.
 */
export function readInbound(text: string, options: InboundOptions): Frame | Promise<Frame> {
  try {
    const value = readStrict(text, { depth: BOUNDS.upstreamDepth, items: options.maxItems, uniqueKeys: false });
    if (!(value instanceof Promise)) return frameOf(value, options);
    return value.then(
      (read) => frameOf(read, options),
      (error: unknown) => refuse(error, options),
    );
  } catch (error) {
    return refuse(error, options);
  }
}

function frameOf(value: JsonValue, { server }: InboundOptions): Frame {
  try {
    return readFrame(value);
  } catch (fault) {
    const id = isObject(value) && value.method === undefined ? answeredId(value.id) : undefined;
    if (typeof id !== 'number') throw fault;
    const message = `The server "${server}" answered with something that is not MCP: ${reasonOf(fault)}`;
    throw new BrokenAnswer(id, 'upstream_protocol', message);
  }
}

/** The error of a limit names the server. */
function refuse(error: unknown, { server, maxItems }: InboundOptions): never {
  if (!(error instanceof OverLimit)) throw error;
  const { id, isAnswer, limit } = error;
  const what = isAnswer ? 'an answer' : 'a message';
  const [code, message] =
    limit === 'depth'
      ? ([
          'upstream_protocol',
          `that is nested deeper than ${BOUNDS.upstreamDepth} levels, which is the limit`,
        ] as const)
      : ([
          'upstream_message_too_large',
          `of more than ${maxItems} items, array elements and object members together (limits.items)`,
        ] as const);
  const text = `The server "${server}" sent ${what} ${message}.`;
  throw isAnswer && typeof id === 'number' ? new BrokenAnswer(id, code, text) : new GatewayError(code, text);
}
