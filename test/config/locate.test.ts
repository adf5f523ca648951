// Where the main file is looked for.
import { expect, test } from 'vitest';
import { locateConfig } from '../../src/config/locate.ts';
import { ConfigError } from '../../src/config/problems.ts';
import { workspace } from './workspace.ts';

test('the flag wins over the environment, the environment over the working directory, that over the user folder', () => {
  const { directory, path } = workspace({
    'flag.json': {},
    'env.json': {},
    'cwd/mcp-gateway.json': {},
    'home/.config/mcp-gateway/mcp-gateway.json': {},
  });
  const env = { MCP_GATEWAY_CONFIG: path('env.json'), HOME: path('home') };
  const home = { HOME: path('home') };

  expect(locateConfig({ flag: 'flag.json', env, cwd: directory })).toBe(path('flag.json'));
  expect(locateConfig({ env, cwd: path('cwd') })).toBe(path('env.json'));
  expect(locateConfig({ env: { ...home, MCP_GATEWAY_CONFIG: '' }, cwd: path('cwd') })).toBe(
    path('cwd/mcp-gateway.json'),
  );
  expect(locateConfig({ env: home, cwd: directory, platform: 'linux' })).toBe(
    path('home/.config/mcp-gateway/mcp-gateway.json'),
  );
});

test.each([
  ['linux', { XDG_CONFIG_HOME: '/ROOT/xdg', HOME: '/ROOT' }, 'xdg'],
  ['linux', { XDG_CONFIG_HOME: 'relative', HOME: '/ROOT' }, '.config'],
  ['darwin', { HOME: '/ROOT' }, 'Library/Application Support'],
  ['win32', { APPDATA: '/ROOT/roaming', USERPROFILE: '/ROOT' }, 'roaming'],
] as const)('the user folder on %s with %j is %s', (platform, env, folder) => {
  const { directory, path, write } = workspace();
  write(`${folder}/mcp-gateway/mcp-gateway.json`, {});
  const here = Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value.replace('/ROOT', directory)]),
  );

  expect(locateConfig({ env: here, cwd: path('elsewhere'), platform })).toBe(
    path(`${folder}/mcp-gateway/mcp-gateway.json`),
  );
});

test('without any file the error lists where it looked and what to do', () => {
  const { directory, path } = workspace();
  const locate = () => locateConfig({ env: { HOME: path('home') }, cwd: directory, platform: 'linux' });

  expect(locate).toThrow(ConfigError);
  expect(locate).toThrow(path('mcp-gateway.json'));
  expect(locate).toThrow(path('home/.config/mcp-gateway/mcp-gateway.json'));
  expect(locate).toThrow('--config');
});

test('a file that is named but missing is an error; nothing else is tried', () => {
  const { directory, path } = workspace({ 'mcp-gateway.json': {} });

  expect(() => locateConfig({ flag: 'no.json', env: {}, cwd: directory })).toThrow(`--config names ${path('no.json')}`);
  expect(() => locateConfig({ env: { MCP_GATEWAY_CONFIG: directory }, cwd: directory })).toThrow(
    `MCP_GATEWAY_CONFIG names ${directory}`,
  );
});
