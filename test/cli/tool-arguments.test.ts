// The errors for an invalid `--args`, with their position.
import { expect, test } from 'vitest';
import { readToolArguments } from '../../src/cli/tool-arguments.ts';

async function refusal(json: string): Promise<string> {
  try {
    return JSON.stringify(await readToolArguments(json));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test('an object is read, and its numbers stay as they were typed', async () => {
  expect(await readToolArguments('{"message": "hi"}')).toEqual({ message: 'hi' });
  expect(JSON.stringify(await readToolArguments('{"n":9007199254740993,"x":1.0}'))).toBe(
    '{"n":9007199254740993,"x":1.0}',
  );
});

test('a fault is told with its column, what was expected, and a caret under it', async () => {
  expect(await refusal('{message: hi}')).toBe(
    '--args is not JSON at column 2: a key in double quotes is expected here\n  {message: hi}\n   ^\nWrite a JSON object, like \'{"key": "value"}\'.',
  );
});

test.each([
  ['{"a" 1}', 'at column 6: a colon is expected here'],
  ["{'a': 1}", 'at column 2: single quotes are not JSON'],
  ['{"a": "x', 'at column 7: the string is not closed'],
  ['{"a": 1,\n "b" 2}', 'at line 2, column 6: a colon is expected here\n   "b" 2}\n       ^'],
  ['{"a": 1,}', 'comments and trailing commas are not allowed'],
  ['', '--args is empty'],
  ['[1]', '--args must be a JSON object'],
  ['null', '--args must be a JSON object'],
])('%j is refused: %s', async (json, reason) => {
  expect(await refusal(json)).toContain(reason);
});

test('of a long value the part around the fault is shown, without what would steer a terminal', async () => {
  const text = await refusal(`{"a": "${'x'.repeat(5_000)}", \u001b b}`);

  expect(text.length).toBeLessThan(400);
  expect(text).not.toContain('\u001b');
});
