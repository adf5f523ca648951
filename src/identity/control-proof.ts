// The proof that a client of the control socket can read its key: the command line makes it, the gateway checks it.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import { GatewayError } from '../core/errors.ts';

/** The request that a proof is valid for. */
export interface ControlRequest {
  readonly method: string;
  readonly url: string;
}

const PROOF = /^Control (\d{1,15})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/**
 * The `Authorization` header of one request. It has a keyed digest and not the key, so that a process that replaced the socket cannot use
 * it again: a proof is valid once, for a minute, for one method and target.
 */
export function proveControl(key: Buffer, request: ControlRequest, now = Date.now()): string {
  const nonce = randomBytes(16).toString('base64url');
  return `Control ${now}.${nonce}.${digest(key, request, `${now}.${nonce}`).toString('base64url')}`;
}

/** Checks proofs, and remembers the used ones. */
export class ControlProofs {
  private readonly key: Buffer;
  private readonly now: () => number;
  /** No proof of this time or before is valid, since it may be a used one that was evicted. */
  private evictedUntil = 0;
  /** Times of used proofs by nonce, in the order of their use. */
  private readonly used = new BoundedMap<string, number>({
    most: BOUNDS.controlProofs,
    evicted: (_nonce, time) => {
      this.evictedUntil = Math.max(this.evictedUntil, time);
    },
  });

  constructor(key: Buffer, now: () => number = Date.now) {
    this.key = key;
    this.now = now;
  }

  /** Checks the proof of one request, and marks it as used. Throws `control_key_required`, which says what is missing. */
  check(authorization: string | undefined, request: ControlRequest): void {
    if (authorization === undefined)
      throw refused('The request brings no proof of the key in `control.key` of the state directory.');
    const [, time = '', nonce = '', mac = ''] = PROOF.exec(authorization) ?? [];
    const presented = Buffer.from(mac, 'base64url');
    const expected = digest(this.key, request, `${time}.${nonce}`);
    if (presented.length !== expected.length || !timingSafeEqual(presented, expected))
      throw refused('The proof was not made with the key in `control.key` that this gateway made at its start.');
    const madeAt = Number(time);
    const fresh =
      Math.abs(this.now() - madeAt) <= BOUNDS.controlProofAge && madeAt > this.evictedUntil && !this.used.has(nonce);
    if (!fresh) throw refused('The proof is too old, or was used before.');
    this.used.set(nonce, madeAt);
  }
}

function refused(what: string): GatewayError {
  return new GatewayError(
    'control_key_required',
    `${what} Use the mcp-gateway command as the user who runs the gateway; if the file was changed or removed, restart the gateway.`,
  );
}

function digest(key: Buffer, { method, url }: ControlRequest, stamp: string): Buffer {
  return createHmac('sha256', key).update(`${method} ${url}\n${stamp}`).digest();
}
