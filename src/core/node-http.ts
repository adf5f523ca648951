// Node's `http` without what an import of it loads: an import reads every export, and `http.WebSocket` loads the undici inside Node for 60 ms of CPU.

export const { createServer, request } = process.getBuiltinModule('node:http');
