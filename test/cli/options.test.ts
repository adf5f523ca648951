import { expect, test } from 'vitest';
import { meantCommand } from '../../src/cli/commands.ts';
import { UsageError } from '../../src/cli/exit-codes.ts';
import { type Command, readArguments, splitLeadingFlags } from '../../src/cli/options.ts';

const command: Command = {
  options: { port: { type: 'string' } },
  examples: () => [],
  positionals: 1,
  run: () => Promise.resolve(0),
};
const read = (...args: string[]) => readArguments('serve', command, args);

test('flags may stand before and behind arguments, with a space or an equals sign', () => {
  expect(read('--json', 'name', '--port=1', '--state', 'dir')).toEqual({
    flags: { json: true, port: '1', state: 'dir' },
    positionals: ['name'],
  });
});

test('the last of a repeated flag counts', () => {
  expect(read('--port', '1', '--port', '2').flags.port).toBe('2');
});

test.each([
  [['--prot', '1'], '`serve` has no option "--prot"; did you mean "--port"? See `mcp-gateway serve --help`.'],
  [['--constructor'], '`serve` has no option "--constructor". See'],
  [['-x'], '`serve` has no option "-x"'],
  [['--port'], '--port needs a value.'],
  [['--port', '--json'], '--port needs a value; one that begins with a dash is written --port=--json.'],
  [['--json=yes'], '--json takes no value.'],
  [['a', 'b'], '`serve` takes no argument "b".'],
])('%j is refused with what is wrong', (args, message) => {
  expect(() => read(...args)).toThrow(UsageError);
  expect(() => read(...args)).toThrow(message);
});

test('common flags before the command are parted from it with their values', () => {
  expect(splitLeadingFlags(['--json', '--config', 'file', 'tools', 'list', '--state', 'x'])).toEqual({
    flags: ['--json', '--config', 'file'],
    rest: ['tools', 'list', '--state', 'x'],
  });
  expect(splitLeadingFlags(['--config'])).toEqual({ flags: ['--config'], rest: [] });
});

test.each([
  [['servr'], 'serve'],
  [['server'], 'servers'],
  [['tool', 'list'], 'tools list'],
  [['tools', 'lst'], 'tools list'],
  [['toolslist'], 'tools list'],
  [['audit', 'qurey'], 'audit query'],
  [['validate'], 'config validate'],
  [['frobnicate'], undefined],
])('%j was probably meant to be %s', (words, meant) => {
  expect(meantCommand(words)).toBe(meant);
});
