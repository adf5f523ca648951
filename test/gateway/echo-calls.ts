// A kind of call that is no MCP: `POST /v1/echo` says a text again, word by word, in a voice that policy decides on.
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ALL_SERVERS, type Call } from '../../src/core/call.ts';
import type { CallContext } from '../../src/core/call-context.ts';
import { Cancellation, type CancelSignal } from '../../src/core/cancellation.ts';
import { ERRORS, excerpt, GatewayError, toGatewayError } from '../../src/core/errors.ts';
import { isObject, type JsonValue, messageHeap } from '../../src/core/json.ts';
import { LOCAL } from '../../src/core/principal.ts';
import type { EndReason, FinalReply, StreamReply } from '../../src/core/reply.ts';
import { readBody } from '../../src/downstream/mcp/http-request.ts';
import type { CallKind, Sink } from '../../src/gateway/pipeline.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { readStrict } from '../../src/protocol/mcp/strict-json.ts';
import { randomHex, traceFrom } from '../../src/telemetry/trace.ts';

/** What policy knows of the echo: the owner of its voices. */
export const PARROT = 'parrot';
export const VOICES: readonly string[] = ['plain', 'loud'];

const MAX_BODY = 16 * 1024 * 1024;

interface EchoCall extends Call {
  readonly kind: 'echo';
  readonly voice: string;
}

interface EchoRoute {
  readonly words: readonly string[];
}

/** Tells when a word may be said; at once where there is nothing to wait for. */
export type Pace = (word: string) => Promise<void> | undefined;

/** The row of the echo in the table of kinds. */
export function echoKind(pace: Pace): CallKind {
  return {
    resolve({ voice, args }: EchoCall, ctx: CallContext<EchoRoute>) {
      if (!isObject(args) || typeof args.text !== 'string')
        throw new GatewayError('invalid_params', '`text` must be a string.');
      ctx.requested = voice;
      if (VOICES.includes(voice)) ctx.target = { kind: 'voice', server: PARROT, exposed: voice, original: voice };
      ctx.route = { words: args.text.split(/\s+/).filter((word) => word !== '') };
      return undefined;
    },
    unknown: ({ voice }: EchoCall, _ctx, detail) =>
      new GatewayError('unknown_target', `Nobody here has the voice ${excerpt(voice)}.`, { detail }),
    dispatch: (_call, { route }: CallContext<EchoRoute>) => Promise.resolve(new Words(route.words, pace)),
  };
}

const CUT_SHORT: Readonly<Record<EndReason, () => GatewayError>> = {
  cancelled: () => new GatewayError('cancelled', 'The caller cancelled the call.'),
  shutdown: () => new GatewayError('gateway_closed', 'The gateway stopped before the text was at its end.'),
};

/** A text that is cut short has failed: who ended it, and how it ended, stands in the record. */
class Words implements StreamReply {
  readonly kind = 'stream';
  private readonly words: readonly string[];
  private readonly pace: Pace;
  private readonly cut = Promise.withResolvers<never>();

  constructor(words: readonly string[], pace: Pace) {
    this.words = words;
    this.pace = pace;
    this.cut.promise.catch(() => undefined); // whoever pipes is told, where there is still something to send
  }

  async pipe(send: (frame: JsonValue) => void | Promise<void>): Promise<FinalReply> {
    // a reader who takes nothing is not waited for longer than a word that does not come
    for (const word of this.words) {
      await Promise.race([this.cut.promise, this.pace(word)]);
      await Promise.race([this.cut.promise, send({ word })]);
    }
    return { kind: 'result', result: { words: this.words.length } };
  }

  end(reason: EndReason): void {
    this.cut.reject(CUT_SHORT[reason]());
  }
}

/** Answers `POST /v1/echo?voice=NAME` with an event for each word and a last one: `[DONE]`, or the error. */
export function echoRoute(gateway: Pick<Gateway, 'deliver'>): RequestListener {
  return (request, response) => void answer(request, response, gateway);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  gateway: Pick<Gateway, 'deliver'>,
): Promise<void> {
  const left = new Cancellation();
  response.on('close', () => {
    if (!response.writableFinished) left.abort();
  });
  const sink = eventSink(response);
  let call: EchoCall;
  try {
    call = await readCall(request, left.signal);
  } catch (thrown) {
    await sink.fail(toGatewayError(thrown));
    return;
  }
  await gateway.deliver(call, sink);
}

/** Throws GatewayError where the request never becomes a call. */
async function readCall(request: IncomingMessage, signal: CancelSignal): Promise<EchoCall> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (pathname !== '/v1/echo') throw new GatewayError('not_found', `There is no ${excerpt(pathname)} here.`);
  if (request.method !== 'POST') throw new GatewayError('method_not_allowed', 'The echo takes POST.');
  const startedAt = performance.now();
  const { text, bytes } = await readBody(request, MAX_BODY);
  const args = await readStrict(text, { depth: 8, items: 100, uniqueKeys: true });
  const { traceparent, tracestate } = request.headers;
  const address = request.socket.remoteAddress;
  return Object.freeze<EchoCall>({
    id: randomHex(12),
    kind: 'echo',
    action: 'echo',
    voice: searchParams.get('voice') ?? 'plain',
    args,
    principal: LOCAL,
    endpoint: ALL_SERVERS,
    ...(address !== undefined && { address }),
    via: { dialect: 'echo', transport: 'http' },
    trace: traceFrom(traceparent, tracestate),
    startedAt,
    bytes,
    heldBytes: messageHeap(bytes, args),
    signal,
  });
}

/** The stream begins with its first frame, so that a call that fails before it has the status of its error. */
function eventSink(response: ServerResponse): Sink<void> {
  const event = (data: string, status = 200): boolean => {
    if (!response.headersSent) response.writeHead(status, { 'content-type': 'text/event-stream' });
    return response.write(`data: ${data}\n\n`);
  };
  const last = (data: string, status?: number): void => {
    if (response.destroyed) return;
    event(data, status);
    response.end();
  };
  return {
    frame: async (frame) => {
      if (!response.destroyed && !event(JSON.stringify(frame))) await once(response, 'drain');
    },
    end: () => last('[DONE]'),
    fail: ({ code, message }) => last(JSON.stringify({ error: { code, message } }), ERRORS[code].http),
  };
}
