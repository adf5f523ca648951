// `npm run prepare`, which npm runs after an installation: builds, and links the command where scripts of the clone find it.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const LINK = join(ROOT, 'node_modules/.bin/mcp-gateway');

function link(): void {
  if (process.platform === 'win32') writeFileSync(`${LINK}.cmd`, '@node "%~dp0\\..\\..\\dist\\cli\\bin.js" %*\r\n');
  else {
    rmSync(LINK, { force: true });
    symlinkSync('../../dist/cli/bin.js', LINK);
  }
}

// the first `npx mcp-gateway` prepares the clone again before it runs it: what is built need not be built anew
const byNpx = process.env.npm_command === 'exec' && existsSync(join(ROOT, 'dist/cli/bin.js'));
if (!byNpx) {
  execFileSync('npm', ['run', '--silent', 'build'], {
    cwd: ROOT,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  link();
}
