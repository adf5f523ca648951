// The page for a person who opens the gateway's URL in a browser: what this is, and how clients connect.
import { createHash } from 'node:crypto';
import { clientSetups } from '../client-setup.ts';

export interface PageFacts {
  /** `http://HOST/mcp`, with the Host of the request. */
  readonly url: string;
  readonly needsToken: boolean;
  /** Counts of servers and tools; undefined if strangers can reach the page. */
  readonly servers?: { readonly ready: number; readonly all: number; readonly tools: number } | undefined;
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
dt { font-weight: 600; margin-top: 1rem; }
dd { margin: 0.25rem 0 0; }
code { font: 0.875em ui-monospace, monospace; overflow-wrap: anywhere; }
dd code { display: block; padding: 0.5rem 0.75rem; border: 1px solid #8886; border-radius: 6px; }
`;

/** The page may not load, send, frame or run anything; the policy allows its one style by hash. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** The whole page. */
export function pageOf({ url, needsToken, servers }: PageFacts): string {
  const setups = clientSetups(url, needsToken).map(
    ({ client, line }) => `<dt>${client}</dt><dd><code>${escaped(line)}</code></dd>`,
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>mcp-gateway</title><style>${STYLE}</style></head>
<body>
<h1>This is mcp-gateway</h1>
<p>It is one MCP server that stands for many. Browsers have nothing to do here: MCP clients connect to <code>${escaped(url)}</code>.</p>
${servers ? `<p>${servers.ready} of ${servers.all} servers ready, ${servers.tools} tools.</p>` : '<p>It is running.</p>'}
<dl>
${setups.join('\n')}
</dl>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
