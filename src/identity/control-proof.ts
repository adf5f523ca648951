// Proof that a peer of the control socket can read its key: made by the command line, checked by the owner.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { BoundedMap } from '../core/bounded-map.ts';
import { GatewayError } from '../core/errors.ts';

/** What a proof is good for: one request of this method and target. */
export interface ControlRequest {
  readonly method: string;
  readonly url: string;
}

/** How far the time of a proof may be from now. Both ends read the same clock, but the machine may be suspended or busy between the two readings. */
const GOOD_FOR_MS = 60_000;

/** Most proofs that are remembered as used. Each was made with the key, so only the owner's own commands can fill it. */
const MAX_USED = 10_000;

const PROOF = /^Control (\d{1,15})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/**
 * The `Authorization` header of one request. It is a keyed digest and not the key itself, so that a process which took the place of the
 * socket learns nothing that it could use again: a proof is good once, for a minute, for one method and target.
 */
export function proveControl(key: Buffer, request: ControlRequest, now = Date.now()): string {
  const nonce = randomBytes(16).toString('base64url');
  return `Control ${now}.${nonce}.${digest(key, request, `${now}.${nonce}`).toString('base64url')}`;
}

/** The proofs that one owner has seen. */
export class ControlProofs {
  private readonly key: Buffer;
  private readonly now: () => number;
  /** No proof of this time or before counts, since it may be one whose use was forgotten. */
  private forgotten = 0;
  /** Times of used proofs by nonce, in the order of their use. */
  private readonly used = new BoundedMap<string, number>({
    most: MAX_USED,
    evicted: (_nonce, time) => {
      this.forgotten = Math.max(this.forgotten, time);
    },
  });

  constructor(key: Buffer, now: () => number = Date.now) {
    this.key = key;
    this.now = now;
  }

  /** Takes the proof of one request. Throws `control_key_required`, which says what is missing. */
  check(authorization: string | undefined, request: ControlRequest): void {
    if (authorization === undefined)
      throw refused('The request brings no proof of the key in `control.key` of the state directory.');
    const [, time = '', nonce = '', mac = ''] = PROOF.exec(authorization) ?? [];
    const presented = Buffer.from(mac, 'base64url');
    const expected = digest(this.key, request, `${time}.${nonce}`);
    if (presented.length !== expected.length || !timingSafeEqual(presented, expected))
      throw refused('The proof was not made with the key in `control.key` that this gateway made at its start.');
    const madeAt = Number(time);
    const fresh = Math.abs(this.now() - madeAt) <= GOOD_FOR_MS && madeAt > this.forgotten && !this.used.has(nonce);
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
