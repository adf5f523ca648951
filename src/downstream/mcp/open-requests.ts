// The requests of one client that have no answer yet, by the client's id, so that the client can cancel them.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { RequestId } from '../../protocol/mcp/frames.ts';

/** An array instead of a map: every call adds and removes an entry, and the array is short (see core/slots). */
export class OpenRequests {
  private readonly open: { readonly id: RequestId; readonly cancellation: Cancellation }[] = [];

  get size(): number {
    return this.open.length;
  }

  /** Registers a request. Throws `invalid_request` for an id that is in flight already, `overloaded` if there are too many. */
  begin(id: RequestId): Cancellation {
    if (this.indexOf(id) !== -1)
      throw new GatewayError('invalid_request', `A request with the id ${JSON.stringify(id)} is still in flight.`);
    if (this.open.length >= BOUNDS.sessionRequests)
      throw new GatewayError('overloaded', `${BOUNDS.sessionRequests} requests are in flight; wait for some to end.`);
    const cancellation = new Cancellation();
    this.open.push({ id, cancellation });
    return cancellation;
  }

  finish(id: RequestId): void {
    const index = this.indexOf(id);
    if (index === -1) return;
    const last = this.open.pop();
    if (last && index < this.open.length) this.open[index] = last;
  }

  /** Cancels a request; ignores an id that is not in flight (patterns/cancellation, Error Handling). */
  cancel(id: unknown): void {
    this.open.find((request) => request.id === id)?.cancellation.abort();
  }

  cancelAll(): void {
    for (const { cancellation } of [...this.open]) cancellation.abort();
  }

  private indexOf(id: RequestId): number {
    return this.open.findIndex((request) => request.id === id);
  }
}
