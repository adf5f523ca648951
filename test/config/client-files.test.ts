// Whole files of clients, in the main file and in servers.d: which servers come of them, and what is named as ignored.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ServerConfig } from '../../src/config/config.ts';
import { FORMATS } from '../../src/config/formats.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { size } from '../size.ts';
import { problemsOf, told, valid, workspace } from './workspace.ts';

const folder = join(import.meta.dirname, '../../fixtures/config/clients');
const env = { HOME: '/home/me' };

const reveal = (values: ServerConfig['env']) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.reveal()]));

/** A server in few words: how it is reached, and whether it can be used. */
function shown(server: ServerConfig): string {
  if (server.disabled) return `${server.name}: off`;
  if (server.problem !== undefined) return `${server.name}: out`;
  return `${server.name}: ${server.url ?? [server.command, ...server.args].join(' ')}`;
}

/** A client's file as the main file, and as a file of servers.d. */
function bothWays(name: string) {
  const text = readFileSync(join(folder, name), 'utf8');
  return {
    main: workspace({ 'mcp-gateway.json': text }),
    dropped: workspace({ 'mcp-gateway.json': {}, [`servers.d/${name}`]: text }),
  };
}

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'amp.json': ['amp: npx -y a'],
  'claude-code.json': ['sentry: https://sentry.example.com/mcp'],
  'claude-desktop.json': [
    'filesystem: npx -y @modelcontextprotocol/server-filesystem /srv/data',
    'Framelink MCP for Figma: npx -y figma-developer-mcp --stdio',
  ],
  'cline.json': [
    'github.com/modelcontextprotocol/servers/tree/main/src/github: npx -y gh',
    'stream: https://stream.example.com/mcp',
  ],
  'continue.json': ['First one: npx -y c', 'http: https://continue.example.com/mcp'],
  'crush.json': ['local: node x', 'remote: https://crush.example.com/mcp'],
  'cursor.json': ['local: npx -y pkg', 'remote: https://remote.example.com/mcp'],
  'gemini.json': ['http: https://gemini.example.com/mcp', 'local: python -m x'],
  'opencode-2.json': ['local: bun x'],
  'opencode.json': ['local: bun x my-mcp', 'off: off'],
  'roo.json': ['roo: https://roo.example.com/mcp'],
  'vscode-settings.json': ['in-settings: node x.js'],
  'vscode.json': ['asks: out', 'github: https://github.example.com/mcp/', 'play: npx @playwright/mcp'],
  'windsurf.json': ['wind: https://wind.example.com/mcp'],
  'zed.json': ['new: npx -y z', 'old: node srv.js', 'extension: out', 'remote: https://zed.example.com/mcp'],
};

test('every place where servers are looked for is documented', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/client-files.md'), 'utf8');

  for (const { at } of FORMATS) expect(page).toContain(`\`${at.join('.')}\``);
});

test('every fixture is looked at', () => {
  expect(readdirSync(folder).sort()).toEqual(Object.keys(EXPECTED).sort());
});

test.each(Object.entries(EXPECTED))(
  'the servers of %s are read, as the main file and in servers.d',
  (name, servers) => {
    const { main, dropped } = bothWays(name);

    expect(valid(main.load(env)).servers.map(shown)).toEqual(servers);
    expect(valid(dropped.load(env)).servers.map(shown)).toEqual(servers);
  },
);

test.each([
  ['claude-desktop.json', ['"globalShortcut", "preferences"']],
  [
    'claude-code.json',
    ['"numStartups", "installMethod", "cachedChangelog", "projects"', '"postgres", as servers of one'],
  ],
  ['vscode.json', ['"inputs"', '"dev", "gallery"']],
  ['vscode-settings.json', ['"editor.fontSize"', '"inputs"']],
  ['zed.json', ['"theme", "audio", "a_setting_of_tomorrow"', '"source"', '"settings"']],
  ['opencode.json', ['"model"']],
  ['gemini.json', ['"theme", "selectedAuthType", "mcp"', '"trust"', 'write ${env:NAME}']],
  ['roo.json', ['"alwaysAllow", "watchPaths"']],
  ['amp.json', ['"amp.notifications.enabled"']],
])('what is ignored of %s is named, in one warning for each place', (name, named) => {
  const { main, dropped } = bothWays(name);

  for (const { load } of [main, dropped]) {
    const warnings = problemsOf(load(env)).filter(({ severity }) => severity === 'warning');
    expect(warnings.map(({ message }) => message)).toEqual(named.map((text): unknown => expect.stringContaining(text)));
  }
});

test('a reference that VS Code would ask for says so, and what to write instead', () => {
  const { main } = bothWays('vscode.json');

  const [asks] = valid(main.load(env)).servers;

  expect(asks?.problem).toContain(
    '${input:api-key} is asked for by VS Code, and nobody can be asked here; write ${env:API_KEY} and set that variable',
  );
});

test('the keys of opencode are translated: command, environment, references and the time of the start', () => {
  const [local] = valid(bothWays('opencode.json').main.load(env)).servers;

  expect(reveal(local!.env)).toEqual({ HOME_OF: '/home/me' });
  expect(local?.timeouts).toMatchObject({ start: 5000, total: 300_000 });
});

test('the keys of Continue are translated: headers and the key', () => {
  const http = valid(bothWays('continue.json').main.load(env)).servers[1];

  expect(reveal(http!.headers)).toEqual({ 'X-A': 'b', Authorization: 'Bearer literal-api-key' });
  expect(told(bothWays('continue.json').main.load(env))).toContain(
    'mcpServers[1]: an entry of a list needs a "name"; this one is left out',
  );
});

test('an old file of Zed has its environment too, and a server of an extension says what is missing', () => {
  const servers = valid(bothWays('zed.json').main.load(env)).servers;

  expect(reveal(servers[1]!.env)).toEqual({ K: 'v' });
  expect(servers[2]?.problem).toContain('comes from an extension of Zed');
});

test('tools that a client does not offer are not offered here', () => {
  const toolsOf = (name: string) => valid(bothWays(name).main.load(env)).servers[0]?.tools;

  expect(toolsOf('windsurf.json')).toEqual({ allow: ['*'], deny: ['delete_all'] });
  expect(toolsOf('roo.json')).toEqual({ allow: ['*'], deny: ['a', 'b'] });
  expect(toolsOf('gemini.json')).toEqual({ allow: ['a'], deny: [] });
  expect(toolsOf('crush.json')).toEqual({ allow: ['*'], deny: ['a'] });
});

test.each([
  [{ mcp: { x: { type: 'local', command: ['bun', 'a', '${NO_A}'] } } }, 'mcp.x.command[2]', '${NO_A}'],
  [{ mcp: { x: { type: 'local', command: ['b'], environment: { E: '${NO_A}' } } } }, 'mcp.x.environment.E', '${NO_A}'],
  [{ mcp: { x: { type: 'local', command: ['b'], timeout: 'soon' } } }, 'mcp.x.timeout', '"soon"'],
  [
    { context_servers: { x: { command: { path: 'n', args: 'no list' } } } },
    'context_servers.x.command.args',
    '"no list',
  ],
  [
    { mcpServers: [{ name: 'x', url: 'http://h/', requestOptions: { headers: 5 } }] },
    'mcpServers[0].requestOptions.headers',
    '5',
  ],
  [{ mcpServers: { x: { command: 'a', disabledTools: ['a', 5] } } }, 'mcpServers.x.disabledTools[1]', '5'],
  [{ servers: { x: { url: 'nowhere' } } }, 'servers.x.url', '"nowhere"'],
])('a fault in %j stands where it is written, at %s', (content, path, text) => {
  const result = workspace({ 'mcp-gateway.json': content }).load();

  expect(valid(result).servers[0]?.problem).toBeDefined();
  expect(problemsOf(result)).toMatchObject([{ path, column: JSON.stringify(content).lastIndexOf(text) + 1 }]);
});

test('settings of the gateway may stand beside the keys of a client; those that are neither are refused', () => {
  const { load } = workspace({
    'mcp-gateway.json': { listen: { port: 7000 }, globalShortcut: 'x', whatever: 1, mcpServers: {} },
  });

  const result = load();

  expect(result.ok).toBe(false);
  expect(told(result)).toEqual([
    'whatever: unknown key; known here: $schema, listen, auth, audit, limits, mcpServers',
    'globalShortcut: ignored: "globalShortcut" (no settings of the gateway, but of a client)',
  ]);
});

test('a slip of a setting is told in the file of a client too', () => {
  const { load } = workspace({ 'mcp-gateway.json': { globalShortcut: 'x', listn: { port: 1 }, mcpServers: {} } });

  const result = load();

  expect(result.ok).toBe(false);
  expect(told(result)).toContain('listn: unknown key; did you mean "listen"?');
});

test('an unknown setting alone makes no file that of a client', () => {
  const { load } = workspace({ 'mcp-gateway.json': { mcpServers: {}, policy: { default: 'deny' } } });

  expect(told(load())).toEqual(['policy: unknown key; known here: $schema, listen, auth, audit, limits, mcpServers']);
});

test('servers of two formats in one file are all read, and each name once', () => {
  const { load } = workspace({
    'mcp-gateway.json': {
      servers: { a: { command: 'of-code' }, b: { command: 'b' } },
      mcpServers: { a: { command: 'a' } },
    },
  });

  const result = load();

  expect(valid(result).servers.map(shown)).toEqual(['a: a', 'b: b']);
  expect(told(result)).toEqual([expect.stringContaining('the name "a" is taken by the server at')]);
});

test.each([
  ['config.toml', '[mcp_servers.x]\ncommand = "npx"\n', 'Codex'],
  ['config.yaml', 'mcpServers:\n  - name: x\n', 'Continue or Goose'],
])('%s in servers.d is named as not read, with what to do', (name, text, client) => {
  const { load } = workspace({ 'mcp-gateway.json': {}, [`servers.d/${name}`]: text });

  expect(told(load())).toEqual([expect.stringMatching(new RegExp(`not read: .*${client} file.* as JSON`))]);
});

test('a main file of TOML is refused in one sentence', async () => {
  const { loadConfig } = await import('../../src/config/load.ts');
  const { path } = workspace({ 'config.toml': '[mcp_servers.x]\ncommand = "npx"\n' });

  expect(told(loadConfig(path('config.toml'), {}))).toEqual([expect.stringContaining('TOML and YAML are not read')]);
});

test('whatever a file holds where clients keep servers, loading tells it, does not throw, and shows no secret', () => {
  const { load, write } = workspace({ 'mcp-gateway.json': {} });
  const secret = 'hunter2hunter2';
  const key = fc.constantFrom(
    'command',
    'args',
    'environment',
    'env',
    'headers',
    'requestOptions',
    'apiKey',
    'timeout',
    'type',
    'name',
    'tools',
    'excludeTools',
    'path',
    'source',
    'url',
  );
  const value = fc.oneof(
    fc.constantFrom('x', 'local', 'ws', '{env:A}', '${input:a}', 5, null, true),
    fc.jsonValue({ maxDepth: 2 }),
    fc.array(fc.constantFrom('x', '${NO}', 5)),
    fc.dictionary(fc.constantFrom('headers', 'path', 'args', 'env'), fc.constantFrom('x', ['y'], { z: 'w' })),
    fc.constant({ TOKEN: secret }).map((map) => ({ env: map })),
  );
  const entry = fc.dictionary(key, value);
  const servers = fc.oneof(
    fc.dictionary(fc.constantFrom('a', 'b c', '', 'x\ny', 'servers', 'mcpServers'), fc.oneof(entry, fc.jsonValue())),
    fc.array(entry),
    fc.jsonValue({ maxDepth: 1 }),
  );
  const places = fc.constantFrom(
    'mcpServers',
    'servers',
    'mcp',
    'context_servers',
    'amp.mcpServers',
    'projects',
    'theme',
  );

  fc.assert(
    fc.property(
      fc.dictionary(
        places,
        fc.oneof(
          servers,
          servers.map((inner) => ({ servers: inner })),
        ),
      ),
      (content) => {
        write('mcp-gateway.json', content);
        write('servers.d/dropped.json', content);
        const result = load({ A: 'resolved' });
        expect(problemsOf(result).map(formatProblem).join('')).not.toContain(secret);
        for (const server of result.ok ? result.config.servers : [])
          if (server.problem === undefined && !server.disabled) expect(server.url ?? server.command).toBeTruthy();
      },
    ),
    { numRuns: size(100, 3_000) },
  );
});

test('a file of a client shows none of its secrets', () => {
  const { load } = workspace({
    'mcp-gateway.json': {
      mcpServers: [
        { name: 'x', type: 'ws', apiKey: 'hunter2hunter2', requestOptions: { headers: { A: 'hunter2hunter2' } } },
      ],
    },
    'servers.d/o.json': { mcp: { y: { type: 'local', command: 5, environment: { A: 'hunter2hunter2' } } } },
  });

  expect(problemsOf(load()).map(formatProblem).join('\n')).not.toContain('hunter2');
});
