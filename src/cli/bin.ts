#!/usr/bin/env node
// The entry point: refuses an old Node with one line, before it loads anything else.

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 22 || (major === 22 && minor < 19)) {
  const { existsSync } = await import('node:fs');
  const hasOwnNode = existsSync(new URL('../../node_modules/node/bin/node', import.meta.url));
  const hint = hasOwnNode ? ' Here `npx mcp-gateway` runs it on the Node that the clone brings.' : '';
  process.stderr.write(`mcp-gateway needs Node 22.19 or newer; this is Node ${process.versions.node}.${hint}\n`);
  process.exitCode = 2;
} else {
  const { main } = await import('./main.ts');
  await main(process.argv.slice(2));
}
