#!/usr/bin/env node
// The entry of the command: refuses an old Node in one line before anything else is loaded.

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`mcp-gateway needs Node 22.19 or newer; this is Node ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  const { main } = await import('./main.ts');
  await main(process.argv.slice(2));
}
