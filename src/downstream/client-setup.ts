// The lines that add the gateway to common clients, for the terminal and the page.

export interface ClientSetup {
  readonly client: string;
  readonly line: string;
}

/** `needsToken`: the lines get a placeholder for the caller's token. */
export function clientSetups(url: string, needsToken: boolean): readonly ClientSetup[] {
  const authorization = 'Bearer YOUR_TOKEN';
  const headers = needsToken ? { headers: { Authorization: authorization } } : {};
  return [
    {
      client: 'Claude Code',
      line: `claude mcp add --transport http gw ${url}${needsToken ? ` --header "Authorization: ${authorization}"` : ''}`,
    },
    { client: 'Cursor', line: `~/.cursor/mcp.json  "gw": ${JSON.stringify({ url, ...headers })}` },
    { client: 'VS Code', line: `code --add-mcp '${JSON.stringify({ name: 'gw', type: 'http', url, ...headers })}'` },
  ];
}
