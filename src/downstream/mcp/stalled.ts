// Readers that take nothing any more: half-open connections, and clients that hold on to what they asked for.
import type { ServerResponse } from 'node:http';

/** Ends the connection where something waits to be sent and nothing of it has been taken for `ms`. */
export function endStalled(response: ServerResponse, ms: number): void {
  // a timer of the socket, which looks by itself whether a long write gets on
  response.setTimeout(ms, () => {
    if (response.writableLength > 0) response.destroy();
  });
}
