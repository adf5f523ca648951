// Cuts off clients that have stopped reading, for example on a half-open connection.
import type { ServerResponse } from 'node:http';

/** Closes the connection when data waits for the client and it has read none for `ms`. */
export function endStalled(response: ServerResponse, ms: number): void {
  // the socket's own timer restarts whenever a part of a long write gets through
  response.setTimeout(ms, () => {
    if (response.writableLength > 0) response.destroy();
  });
}
