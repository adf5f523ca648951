// What an owner and those who join it say to each other on the control socket; apart from its code, which those who join do not load.

/** The `Upgrade` token with which a stdio client asks for a bare stream of MCP lines. */
export const STDIO_UPGRADE = 'mcp-stdio';

/** The line that tells who joined that the owner is ending: it goes on answering, but takes no new calls. */
export const ENDING = '{"jsonrpc":"2.0","method":"notifications/mcp-gateway/ending"}';
