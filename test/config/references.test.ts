// References inside strings.
import { mkfifoSync } from './fifo.ts';
import { symlinkSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expand, hasReference } from '../../src/config/references.ts';
import { workspace } from './workspace.ts';

function resolved(text: string, env: NodeJS.ProcessEnv = {}, directory = '/'): unknown {
  const { value, faults } = expand(text, { directory, env });
  return faults.length === 0 ? value : faults.map((finding) => finding.message).join('\n');
}

test('both spellings of a variable are replaced, anywhere in a string and more than once', () => {
  expect(resolved('a ${env:A} b ${B} ${A}', { A: '1', B: '2' })).toBe('a 1 b 2 1');
});

test('a default stands in for a variable that is not set or empty', () => {
  expect(resolved('${env:A:-x y}|${A:-}|${B:-z}|${env:C:-z}', { B: '', C: 'set' })).toBe('x y||z|set');
});

test('a variable that is set to nothing is set', () => {
  expect(resolved('[${A}]', { A: '' })).toBe('[]');
});

test('the values of references are not read again', () => {
  expect(resolved('${A}', { A: '${B}', B: 'no' })).toBe('${B}');
});

test('a doubled dollar sign stands for a literal brace expression', () => {
  expect(resolved('$${A} and $A and $5', {})).toBe('${A} and $A and $5');
});

test('any text survives when it is escaped', () => {
  const piece = fc.oneof(fc.constantFrom('$', '{', '}', '$${', '${', '${A}', ':-'), fc.string({ maxLength: 4 }));
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (text) => {
        expect(
          resolved(
            text.replaceAll('${', () => '$${'),
            {},
          ),
        ).toBe(text);
      },
    ),
  );
});

test('resolving never throws, and is the same whatever else is in the value', () => {
  const piece = fc.oneof(
    fc.constantFrom('${', '}', '$${', 'env:', 'file:', ':-', '${A}', '${env:B:-c}'),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (text) => {
        const source = { directory: '/nonexistent', env: { A: 'a' } };
        const alone = expand(text, source).value;
        expect(expand({ list: [text] }, source).value).toEqual({ list: [alone] });
      },
    ),
  );
});

test('names of the object prototype are no variables', () => {
  expect(resolved('${constructor}', {})).toContain('constructor is not set');
});

test('an unset variable is named, with its place inside the string', () => {
  const { faults } = expand({ headers: { Authorization: 'Bearer ${env:TOKEN}' } }, { directory: '/', env: {} });

  expect(faults).toEqual([expect.objectContaining({ path: ['headers', 'Authorization'], within: '${env:TOKEN}' })]);
  expect(faults[0]?.message).toContain('TOKEN is not set');
});

test('other kinds of references, missing names and open braces are told apart', () => {
  expect(resolved('${input:my-token}')).toContain('write ${env:MY_TOKEN} and set that variable');
  expect(resolved('${keychain:token}')).toContain('"keychain:" are not read here');
  expect(resolved('${}')).toContain('names no environment variable');
  expect(resolved('${env:A')).toContain('not closed');
  expect(resolved('${A:-${B}}')).toContain('a default cannot contain a reference');
  expect(resolved('${file:}')).toContain('names no file');
});

test('a file is read relative to the file that names it, without its last line break', () => {
  const { directory, write } = workspace({ 'secrets/token': 'abc\ndef\r\n' });
  write('plain', 'x\n\n');

  expect(resolved('<${file:secrets/token}>', {}, directory)).toBe('<abc\ndef>');
  expect(resolved('<${file:./plain}>', {}, directory)).toBe('<x\n>');
});

test('a file behind a symbolic link is read, as mounted secrets are', () => {
  const { directory, path } = workspace({ real: 'secret' });
  symlinkSync('real', path('link'));

  expect(resolved('${file:link}', {}, directory)).toBe('secret');
});

test('what is not a small text file is refused, without blocking on a pipe', () => {
  const { directory, path } = workspace({
    large: 'x'.repeat(1024 * 1024 + 1),
    binary: Buffer.from([0xff, 0xfe, 0x00]),
  });
  mkfifoSync(path('pipe'));

  expect(resolved('${file:missing}', {}, directory)).toContain('does not exist');
  expect(resolved('${file:.}', {}, directory)).toContain('not a regular file');
  expect(resolved('${file:pipe}', {}, directory)).toContain('not a regular file');
  expect(resolved('${file:large}', {}, directory)).toContain('larger than 1 MiB');
  expect(resolved('${file:binary}', {}, directory)).toContain('not UTF-8');
  expect(resolved('${file:~/token}', { HOME: directory }, '/')).toContain(`${directory}/token does not exist`);
});

test('values of references are listed, defaults are not', () => {
  const { directory } = workspace({ f: 'from-file\n' });

  const expansion = expand(['${A} ${B:-fallback}', '${file:f}'], { directory, env: { A: 'from-env' } });

  expect(expansion.resolved).toEqual(['from-env', 'from-file']);
});

test('references can be found without being read', () => {
  const found = expand({ a: '${A}', b: ['plain', '${file:/nonexistent}'], c: '$${A}' });

  expect([...found.referring]).toEqual(['["a"]', '["b",1]']);
  expect(found.faults).toEqual([]);
  expect(found.value).toEqual({ a: '${A}', b: ['plain', '${file:/nonexistent}'], c: '$${A}' });
  expect(hasReference('$${A}')).toBe(false);
});
