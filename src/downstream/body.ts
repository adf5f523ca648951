// Reading a request's body: bounded, whole, as text; and answering without one.
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../core/errors.ts';
import { ByteAccumulator } from '../core/byte-accumulator.ts';

/** What a refused sender may still send before it is cut off. */
const MAX_DISCARDED = 64 * 1024 * 1024;

export interface Body {
  readonly text: string;
  /** Its size on the wire. */
  readonly bytes: number;
}

/** Reads the body. Throws `body_too_large` as soon as it is known, `parse_error` where it is not UTF-8, `cancelled` where the caller left. */
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

/** An answer that is given without regard to the body. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/**
 * Answers at once, and lets the rest of the body pass before the response ends, bounded in size here and in time by the listener. A
 * connection that is closed on somebody who is still sending is reset, and the answer that says why is lost with it.
 */
export function refuseBody(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  const { status, headers, text } = refusal;
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  if (request.complete) {
    response.end(text);
    return;
  }
  response.write(text);
  let left = MAX_DISCARDED;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
  });
  request.on('end', () => response.end());
  request.on('error', () => response.destroy());
}
