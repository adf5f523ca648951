// Places in files, syntax errors, and what excerpts show.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDocument, positionAt, problemAt } from '../../src/config/positions.ts';

const at = (text: string, path: (string | number)[], more: object = {}) =>
  positionAt(parseDocument('/f.json', text), { path, ...more });

test('comments, trailing commas and a byte order mark are allowed', () => {
  const document = parseDocument('/f.json', '\ufeff{ /* a */ "a": [1, 2,], // b\n}');

  expect(document.problems).toEqual([]);
  expect(document.value).toEqual({ a: [1, 2] });
});

test('positions count lines and columns from 1, and a byte order mark does not count', () => {
  const text = '{\n  "a": { "b": [true, "x"] }\n}';

  expect(at(text, ['a', 'b', 1])).toEqual({ line: 2, column: 22 });
  expect(at(text, ['a', 'b'])).toEqual({ line: 2, column: 10 });
  expect(at('\ufeff{"a":1}', ['a'])).toEqual({ line: 1, column: 6 });
  expect(at('\ufeff{"a":1}', ['a'], { atKey: true })).toEqual({ line: 1, column: 2 });
});

test('the place of something missing is the nearest parent', () => {
  expect(at('{ "a": { "b": 1 } }', ['a', 'c', 'd'])).toEqual({ line: 1, column: 3 });
});

test('a place inside a string can be named', () => {
  expect(at('{ "a": "Bearer ${X}" }', ['a'], { within: '${X}' })).toEqual({ line: 1, column: 16 });
});

test('every syntax error has a place and plain words', () => {
  const { problems } = parseDocument('/f.json', '{\n  "a": 1\n  "b": \u201cx\u201d,\n  c: 2\n}');

  expect(problems.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual(
    expect.arrayContaining([
      '3:3 a comma is expected here',
      '3:8 typographic quotes are not JSON; write "',
      '4:3 a key in double quotes is expected here',
    ]),
  );
});

test.each([
  ['', 'the file is empty'],
  [' // only a comment\n', 'the file is empty'],
  ['{ "a": \'x\' }', 'single quotes'],
  ['{ "a": "x', 'the string is not closed'],
  ['{ "a": 1 ', 'closing brace'],
  ['{} {}', 'should end here'],
  ['['.repeat(100_000), 'nesting is deeper than 64'],
])('%j is refused and says why', (text, reason) => {
  const document = parseDocument('/f.json', text);

  expect(document.root).toBeUndefined();
  expect(document.problems.map(({ message }) => message).join('\n')).toContain(reason);
});

test('parsing never throws, and tells what JSON.parse tells', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      const document = parseDocument('/f.json', JSON.stringify(value));
      if (document.refused.length === 0) expect(document.value).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'a', '1', '\n', '/', '*', '\\', "'") }),
      (text) => {
        const document = parseDocument('/f.json', text);
        expect(document.root === undefined).toBe(document.problems.length > 0);
      },
    ),
  );
});

test('a key that occurs twice is refused with both places; the first counts', () => {
  const document = parseDocument('/f.json', '{\n "a": 1,\n "a": 2 }');

  expect(document.value).toEqual({ a: 1 });
  expect(problemAt(document, document.refused[0]!)).toMatchObject({
    line: 3,
    column: 2,
    path: 'a',
    message: 'the key occurs twice; the first is at /f.json:2:2',
  });
});

test('a key that would change the prototype is refused', () => {
  const document = parseDocument('/f.json', '{ "__proto__": { "polluted": true } }');

  expect(Object.getPrototypeOf(document.value)).toBe(Object.prototype);
  expect(document.refused).toHaveLength(1);
});

test('the excerpt is the line with a caret under the place', () => {
  const document = parseDocument('/f.json', '{\r\n\t"a": 1,\r\n}');

  expect(problemAt(document, { path: ['a'], message: 'm' }).excerpt).toBe('\t"a": 1,\n\t     ^');
});

test('a long line is cut around the place', () => {
  const document = parseDocument(
    '/f.json',
    `{ "list": [${'1,'.repeat(2000)} 2], "here": 3, "more": [${'4,'.repeat(2000)} 5] }`,
  );

  const [line = '', caret = ''] = problemAt(document, { path: ['here'], message: 'm' }).excerpt?.split('\n') ?? [];

  expect(line.length).toBeLessThan(110);
  expect(line[caret.indexOf('^')]).toBe('3');
});

const SECRET = 'hunter2hunter2';

test.each([
  `{ "s": { "env": { "A": "${SECRET}" }, "x": 1 } }`,
  `{ "s": { "evn": { "A": "${SECRET}" }, "x": 1 } }`,
  `{ "s": { "headers": { "A": "Bearer ${SECRET}" }, "x": 1 } }`,
  `{ "s": { "env": ["A=${SECRET}"], "x": 1 } }`,
  `{ "s": { "token": "${SECRET}", "x": 1 } }`,
  `{ "s": { "clientSecret": "${SECRET}", "x": 1 } }`,
  `{ "s": { "url": "https://user:${SECRET}@h/", "x": 1 } }`,
  `{ "s": { "urll": "https://h/?key=${SECRET}&b=1", "x": 1 } }`,
  `{ "s": { "url": "https://h/?${SECRET}", "x": 1 } }`,
  `{ "s": { "args": ["--api-key", "${SECRET}"], "x": 1 } }`,
  `{ "s": { "args": ["--token=${SECRET}"], "x": 1 } }`,
  `{ "s": { "args": ["-e", "API_KEY=${SECRET}"], "x": 1 } }`,
  `{ "s": { "args": ["--header", "Authorization: Bearer ${SECRET}"], "x": 1 } }`,
  `{ "s": { /* "token": "${SECRET}" */ "x": 1 } }`,
  `{ "s": { "env": { "A": "\${env:A:-${SECRET}}" }, "x": 1 } }`,
])('the excerpt of %s shows no secret, and the caret stays', (text) => {
  const { excerpt = '' } = problemAt(parseDocument('/f.json', text), { path: ['s', 'x'], message: 'm' });
  const [line = '', caret = ''] = excerpt.split('\n');

  expect(excerpt).not.toContain(SECRET);
  expect(line[caret.indexOf('^')]).toBe('1');
});

test.each([
  `{ "token": "${SECRET}" oops }`,
  `{ "token": "${SECRET} }`,
  `{ "token": '${SECRET}' }`,
  `{ "token": ${SECRET} }`,
  `{ "token": abc:${SECRET}, }`,
  `{ "token": ${SECRET}:x }`,
  `{ "token": "${SECRET}": 1 }`,
  `{ "token: "${SECRET}", "x": 1 }`,
  `{ // ${SECRET}\n "a" }`,
  `{ "token": "x"${SECRET}": 1 }`,
])('the excerpts of %j, which does not parse, show no secret', (text) => {
  const { problems } = parseDocument('/f.json', text);

  expect(problems.length).toBeGreaterThan(0);
  for (const { excerpt = '' } of problems) expect(excerpt).not.toContain(SECRET);
});

test.each([
  ['{ "command": "npx" "args": [] }', '{ "command": "npx" "args": [] }'],
  ['{ "args": ["-y", "pkg"] "url": "https://h/mcp" }', '{ "args": ["-y", "pkg"] "url": "https://h/mcp" }'],
  [
    '{ "type": "http", "disabled": true, "timeout": 60 "x" }',
    '{ "type": "http", "disabled": true, "timeout": 60 "*" }',
  ],
  ['{ "args": ["--api-key", "abc"] "x": 1 }', '{ "args": ["--api-key", "***"] "x": * }'],
  ['{ "url": "https://u:p@h/?k=v" "x": 1 }', '{ "url": "https://***@h/?k=*" "x": * }'],
  ['{ "env": { "command": "abc" } "x": 1 }', '{ "env": { "command": "***" } "x": * }'],
  ['{ "headers": { "A": "Bearer ${env:T}" } "x": 1 }', '{ "headers": { "A": "Bearer ${env:T}" } "x": * }'],
  [
    '{ "mcpServers": { "a": { "command": "npx" "env": { "K": "abc" } } } }',
    '{ "mcpServers": { "a": { "command": "npx" "env": { "K": "***" } } } }',
  ],
  ['{ "token": "abc" "command": "npx" }', '{ "token": "***" "command": "npx" }'],
])('of %j, which does not parse, what is plainly no secret is shown', (text, shown) => {
  const [problem] = parseDocument('/f.json', text).problems;

  expect(problem?.excerpt?.split('\n')[0]).toBe(shown);
});

test('a line whose quotes do not match shows no value, as any of them may be another', () => {
  const [problem] = parseDocument('/f.json', '{ "command": "npx, "args": ["abc"] }').problems;

  expect(problem?.excerpt).not.toMatch(/npx|abc/);
});

test('the name of a reference is shown', () => {
  const document = parseDocument('/f.json', '{ "headers": { "A": "Bearer ${env:TOKEN}" } }');

  expect(problemAt(document, { path: ['headers', 'A'], message: 'm' }).excerpt).toContain('${env:TOKEN}');
});
