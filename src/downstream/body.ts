// Reads a request's body as text, up to a limit, and answers requests without reading their body.
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { ByteAccumulator } from '../core/byte-accumulator.ts';
import { GatewayError } from '../core/errors.ts';

export interface Body {
  readonly text: string;
  /** The size of the body. */
  readonly bytes: number;
}

/** Reads the body. Throws `body_too_large` at the limit, `parse_error` if it is not UTF-8, `cancelled` if the caller closes the connection. */
export function readBody(request: IncomingMessage, limit: number): Promise<Body> {
  const tooLarge = () => new GatewayError('body_too_large', `The body is larger than ${limit} bytes (limits.body).`);
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const body = new ByteAccumulator();
    let refused = false;
    request.on('data', (chunk: Buffer) => {
      if (refused) return;
      if (body.length + chunk.length <= limit) {
        body.push(chunk);
        return;
      }
      refused = true;
      body.clear();
      reject(tooLarge());
    });
    request.on('end', () => {
      const whole = body.bytes();
      if (isUtf8(whole)) resolve({ text: whole.toString('utf8'), bytes: whole.length });
      else reject(new GatewayError('parse_error', 'The body is not UTF-8.'));
    });
    request.on('error', () => reject(new GatewayError('cancelled', 'The caller went away while it was sending.')));
  });
}

/** An answer that does not depend on the body. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/**
 * Answers at once, then discards the rest of the body before it ends the response; the listener bounds the time. If the gateway closed the
 * connection while the client still sends, TCP would reset it, and the client would lose the answer.
 */
export function refuseBody(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  const { status, headers, text } = refusal;
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  if (request.complete) {
    response.end(text);
    return;
  }
  response.write(text);
  let left = BOUNDS.discardedBody;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
  });
  request.on('end', () => response.end());
  request.on('error', () => response.destroy());
}
