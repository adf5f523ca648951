// A server process inherits the listed variables and no others.
import { expect, test } from 'vitest';
import { childEnvironment } from '../../../../src/upstream/mcp/process/environment.ts';

test('the named variables are inherited where they are set, and nothing else', () => {
  const inherited = {
    PATH: '/bin',
    HOME: '/home/me',
    LANG: 'C.UTF-8',
    LC_ALL: 'C',
    TMPDIR: '/tmp',
    NODE_EXTRA_CA_CERTS: '/ca.pem',
    HTTP_PROXY: 'a',
    https_proxy: 'b',
    NO_PROXY: 'c',
    all_proxy: 'd',
  };
  const secret = {
    OPENAI_API_KEY: 'k',
    NODE_OPTIONS: '--inspect',
    LD_PRELOAD: 'x.so',
    npm_config_x: '1',
    PATHEXT: '.EXE',
    HTTPS_PROXY: undefined,
  };

  expect(childEnvironment({}, { ...inherited, ...secret }, 'linux')).toEqual(inherited);
});

test('what the entry declares is added, and stands above what is inherited', () => {
  const env = childEnvironment({ PATH: '/opt/bin', TOKEN: 't', EMPTY: '' }, { PATH: '/bin', TOKEN: 'other' }, 'linux');

  expect(env).toEqual({ PATH: '/opt/bin', TOKEN: 't', EMPTY: '' });
});

test('on Windows names have no case: what programs need to start comes along, and a declared name replaces its other spelling', () => {
  const env = childEnvironment(
    { PATH: 'C:\\own', Token: 't' },
    { Path: 'C:\\bin', SystemRoot: 'C:\\Windows', ComSpec: 'cmd.exe', PATHEXT: '.EXE', OPENAI_API_KEY: 'k' },
    'win32',
  );

  expect(env).toEqual({ PATH: 'C:\\own', Token: 't', SystemRoot: 'C:\\Windows', ComSpec: 'cmd.exe', PATHEXT: '.EXE' });
});
