// The protocol between the owner and its relays on the control socket; in a file of its own, because relays do not load the owner's code.

/** The `Upgrade` token with which a stdio client asks for a bare stream of MCP lines. */
export const STDIO_UPGRADE = 'mcp-stdio';

/** The line that tells relays that the owner stops: it still answers, but accepts no new calls. */
export const STOPPING_LINE = '{"jsonrpc":"2.0","method":"notifications/mcp-gateway/ending"}';
