// The line on stderr that names the cause of an exit, for each runtime.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { lastWords } from '../../../../src/upstream/mcp/process/last-words.ts';

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

test.for([
  [
    'npm, of a package that does not exist',
    `npm warn deprecated x@1
npm error code E404
npm error 404 Not Found - GET https://registry.npmjs.org/nope - Not found
npm error 404
npm error 404  'nope@*' is not in this registry.
npm error 404
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git folder.
npm error A complete log of this run can be found in: /home/me/.npm/_logs/2026-11-30T10_00_00_000Z-debug-0.log`,
    'npm error 404 Not Found - GET https://registry.npmjs.org/nope - Not found',
  ],
  [
    'npm, of a file that is missing',
    `npm ERR! code ENOENT
npm ERR! syscall open
npm ERR! path /x/package.json
npm ERR! errno -2
npm ERR! enoent Could not read package.json: Error: ENOENT: no such file or directory
npm ERR! enoent This is related to npm not being able to find a file.
npm ERR! enoent
npm ERR! A complete log of this run can be found in:
npm ERR!     /home/me/.npm/_logs/x.log`,
    'npm ERR! enoent Could not read package.json: Error: ENOENT: no such file or directory',
  ],
  [
    'npm, of a network that is not there',
    `npm error code ENOTFOUND
npm error syscall getaddrinfo
npm error errno ENOTFOUND
npm error network request to https://registry.npmjs.org/x failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org
npm error network This is a problem related to network connectivity.
npm error A complete log of this run can be found in: /x.log`,
    'npm error network request to https://registry.npmjs.org/x failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org',
  ],
  [
    'npm, of a package without a program',
    `npm error could not determine executable to run
npm error A complete log of this run can be found in: /x.log`,
    'npm error could not determine executable to run',
  ],
  [
    'Python',
    `INFO starting
Traceback (most recent call last):
  File "/x.py", line 3, in <module>
    main()
  File "/x.py", line 2, in main
    raise ValueError("no key was given")
ValueError: no key was given`,
    'ValueError: no key was given',
  ],
  [
    'Python, with a message of several lines',
    `Traceback (most recent call last):
  File "/x.py", line 3, in <module>
pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
api_key
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.5/v/missing`,
    'pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings',
  ],
  [
    'Python, of a group of exceptions',
    `  + Exception Group Traceback (most recent call last):
  |   File "/x.py", line 3, in <module>
  |     main()
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/x.py", line 2, in main
    |     raise ValueError("boom")
    | ValueError: boom
    +------------------------------------`,
    'ValueError: boom',
  ],
  [
    'Python that went on after a traceback',
    `Traceback (most recent call last):
  File "/x.py", line 3, in <module>
ValueError: handled
${Array.from({ length: 20 }, (_, line) => `INFO request ${line}`).join('\n')}
address already in use`,
    'address already in use',
  ],
  [
    'Java',
    `Exception in thread "main" java.lang.IllegalStateException: cannot start
\tat Main.main(Main.java:3)
Caused by: java.net.BindException: Address already in use
\tat Net.bind(Net.java:9)
\t... 5 more`,
    'Caused by: java.net.BindException: Address already in use',
  ],
  [
    'Go',
    `panic: no config

goroutine 1 [running]:
main.main()
\t/tmp/x.go:4 +0x27
exit status 2`,
    'panic: no config',
  ],
  [
    'Rust',
    `thread 'main' panicked at src/main.rs:2:5:
no config
note: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace`,
    'no config',
  ],
  ['a program that says it plainly', 'starting\ncannot open database', 'cannot open database'],
] as const)('the cause is told of %s', ([, said, expected]) => {
  expect(lastWords(lines(said))).toBe(expected);
});

test.for([
  ['throw new Error("no key was given")', 'Error: no key was given'],
  ['throw new TypeError("first line\\nsecond line")', 'TypeError: first line'],
  ['Promise.reject(Object.assign(new RangeError("late"), { code: "E_LATE", nested: { a: [1] } }))', 'RangeError: late'],
  ['throw new Error("outer", { cause: new Error("inner") })', 'Error: outer'],
  ['require("/no/such/module")', "Error: Cannot find module '/no/such/module'"],
  ['foo bar', 'SyntaxError: Unexpected identifier'],
  ['console.error("bad option"); process.exit(2)', 'bad option'],
] as const)('the error is told of Node that ran %s', ([source, expected]) => {
  const { stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8' });

  expect(lastWords(lines(stderr))).toContain(expected);
});

test('a process that said nothing has no last words, and a line without end is cut', () => {
  expect(lastWords([])).toBeUndefined();
  expect(lastWords(['x'.repeat(5_000)])).toHaveLength(500);
  expect(lastWords(['Node.js v24.0.0'])).toBe('Node.js v24.0.0');
});
