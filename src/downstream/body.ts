// Reading a request's body: bounded, whole, as text.
import { isUtf8 } from 'node:buffer';
import { type IncomingMessage } from 'node:http';
import { GatewayError } from '../core/errors.ts';

/** Reads the body. Throws `body_too_large` as soon as it is known, `parse_error` where it is not UTF-8, `cancelled` where the caller left. */
export function readBody(request: IncomingMessage, limit: number): Promise<string> {
  const tooLarge = () => new GatewayError('body_too_large', `The body is larger than ${limit} bytes (limits.body).`);
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else reject(tooLarge());
    });
    request.on('end', () => {
      const [only] = chunks;
      const body = only && chunks.length === 1 ? only : Buffer.concat(chunks);
      if (isUtf8(body)) resolve(body.toString('utf8'));
      else reject(new GatewayError('parse_error', 'The body is not UTF-8.'));
    });
    request.on('error', () => reject(new GatewayError('cancelled', 'The caller went away while it was sending.')));
  });
}
