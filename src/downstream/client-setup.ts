// How clients are told of the gateway: one line for each of the common ones, for the terminal and for the page.

export interface ClientSetup {
  readonly client: string;
  readonly line: string;
}

/** `needsToken`: whether callers have to show one; which is theirs to fill in. */
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
