// The requests of one client that are not answered yet: by the id that the client gave, and how each is cancelled.
import { Cancellation } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { RequestId } from '../../protocol/mcp/frames.ts';

/** Most requests of one client at a time. */
const MAX_OPEN = 1_000;

/** A short list rather than a map: it is filled and emptied with every call (see core/slots). */
export class OpenRequests {
  private readonly open: { readonly id: RequestId; readonly cancellation: Cancellation }[] = [];

  get size(): number {
    return this.open.length;
  }

  /** Registers a request. Throws `invalid_request` for an id that is in flight already, `overloaded` where there are too many. */
  begin(id: RequestId): Cancellation {
    if (this.indexOf(id) !== -1)
      throw new GatewayError('invalid_request', `A request with the id ${JSON.stringify(id)} is still in flight.`);
    if (this.open.length >= MAX_OPEN)
      throw new GatewayError('overloaded', `${MAX_OPEN} requests are in flight; wait for some to end.`);
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

  /** Cancels a request; an id that is not in flight means nothing (patterns/cancellation, Error Handling). */
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
