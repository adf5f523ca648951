// The command line as a new user in a hurry types it: help for every command, and a word for every mistake.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { place } from './harness/command-line.ts';
import { BIN, ROOT, runCli } from './harness/gateway.ts';
import { insideOf, runInside } from './harness/inside.ts';

const COMMANDS = [
  'serve',
  'stdio',
  'config validate',
  'config schema',
  'servers',
  'tools list',
  'tools call',
  'audit query',
  'audit verify',
];
/** As the tests invoke it from elsewhere: what is told is told in the same words. */
const CALLED = `${process.execPath} ${BIN}`;
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

describe('help and version', () => {
  test.each(COMMANDS)('%s says how it is used, and loads no configuration for it', async (name) => {
    const help = await runInside([...name.split(' '), '--help'], { cwd: '/' });

    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toContain(`Usage: ${CALLED} ${name}`);
    for (const flag of ['--config', '--state', '--json', '--help', '--version']) expect(help.stdout).toContain(flag);
    expect(help.stdout).toContain(`Examples:\n  ${CALLED} ${name}`);
    for (const line of help.stdout.split('\n')) expect(line.replaceAll(CALLED, '').length).toBeLessThanOrEqual(120);
  });

  test.each(COMMANDS)('%s tells the version instead of running', async (name) => {
    expect(await runInside([...name.split(' '), '--version'], { cwd: '/' })).toEqual({
      status: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
  });

  test('a process prints help as the program does, and ends with 0', async () => {
    expect(await runCli(['serve', '--help'], { cwd: '/' })).toEqual(await runInside(['serve', '--help'], { cwd: '/' }));
  });

  test('the program has help and a version by every usual spelling', async () => {
    const [help, short, word, ofCommand, ofFamily, json] = await Promise.all([
      runInside(['--help']),
      runInside(['-h']),
      runInside(['help']),
      runInside(['help', 'tools', 'call']),
      runInside(['audit', '--help']),
      runInside(['--version', '--json']),
    ]);

    for (const name of COMMANDS) expect(help.stdout).toContain(`  ${name}`);
    expect(short).toEqual(help);
    expect(word).toEqual(help);
    expect(ofCommand.stdout).toMatch(/^Usage: .* tools call NAME/m);
    expect(ofFamily.stdout).toContain('audit verify');
    expect(JSON.parse(json.stdout)).toEqual({ version, node: process.versions.node });
  });
});

describe('wrong words end with 2, say what was probably meant, and print no data', () => {
  test.each([
    [[], 'say what to do'],
    [['servr'], `Did you mean \`${CALLED} serve\`?`],
    [['tool', 'list'], `Did you mean \`${CALLED} tools list\`?`],
    [['audit', 'qurey'], `Did you mean \`${CALLED} audit query\`?`],
    [['audit'], '`audit query` or `audit verify`'],
    [['frobnicate'], 'there are serve, stdio,'],
    [['serve', '--prot', '1'], 'did you mean "--port"?'],
    [['serve', '--port'], '--port needs a value'],
    [['serve', '--port', 'http'], '--port takes a whole number from 0 to 65535'],
    [['serve', '--port', '70000'], '--port takes a whole number'],
    [['serve', 'now'], '`serve` takes no argument "now"'],
    [['tools', 'call'], 'say which tool'],
    [['tools', 'call', 'x', '--args', '{'], '--args is not JSON'],
    [['tools', 'call', 'x', '--args', '[]'], '--args must be a JSON object'],
    [['audit', 'query', '--state', '/tmp', '--status', 'good'], '--status is one of ok,'],
    [['--prot', '1'], '"--prot"'],
  ])('%j', async (args, words) => {
    const result = await runInside(args, { cwd: '/' });

    expect(result.status).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toContain(words);
  });

  test('a process ends with 2 too', async () => {
    const words = ['serve', '--prot', '1'];

    const ended = await runCli(words, { cwd: '/' });

    expect(ended.status).toBe(2);
    expect(ended).toEqual(await runInside(words, { cwd: '/' }));
  });

  test('a time or a log level that is none', async () => {
    const cli = insideOf(place());
    await cli('tools', 'list');

    const [since, level] = await Promise.all([
      cli('audit', 'query', '--since', 'yesterday'),
      cli('servers', '--log-level', 'loud'),
    ]);

    expect(since).toMatchObject({ status: 2, stdout: '' });
    expect(since.stderr).toContain('--since takes 30m, 1h, 7d or ISO 8601');
    expect(level).toMatchObject({ status: 2, stdout: '' });
    expect(level.stderr).toContain('the log level is one of');
  });
});

describe('a configuration that is missing or wrong ends with 8', () => {
  test.each([
    ['serve', runCli], // a process that would go on if it did not end here
    ['stdio', runCli],
    ['servers', runInside],
    ['tools list', runInside],
    ['tools call x', runInside],
    ['config validate', runInside],
  ])('%s', async (words, run) => {
    const { directory } = place();

    const missing = await run([...words.split(' '), '--config', join(directory, 'none.json')]);

    expect(missing).toMatchObject({ status: 8, stdout: '' });
    expect(missing.stderr).toMatch(/none\.json, which is not a file/);
  });

  test('all mistakes are told at once, with line and caret', async () => {
    const space = place();
    const cli = insideOf(space);
    space.write('mcp-gateway.json', '{\n  "lissten": {},\n  "limits": { "depth": "deep" }\n}\n');

    const [validate, serve] = await Promise.all([cli('config', 'validate', '--json'), cli('serve')]);

    expect(validate.status).toBe(8);
    const found = JSON.parse(validate.stdout) as { valid: boolean; problems: { line: number }[] };
    expect(found).toMatchObject({ valid: false });
    expect(found.problems.map(({ line }) => line)).toEqual([2, 3]);
    expect(serve).toMatchObject({ status: 8, stdout: '' });
    expect(serve.stderr).toMatch(/did you mean "listen"/);
    expect(serve.stderr).toMatch(/\n +\^/);
  });
});
