// URI templates: what they match, how specific they are, and that no URI makes them slow.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileTemplate } from '../../src/catalog/uri-templates.ts';

/** The same matching written as a regular expression, which may take for ever but not on texts this short. */
function reference(template: string): RegExp {
  const parts = template.split(/(\{[^{}]*\})/).map((part, index) => {
    if (index % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    const inside = part.slice(1, -1);
    return /^[+#/?&;.]/.test(inside) || inside.endsWith('*') ? '[^]*' : '[^/]*';
  });
  return new RegExp(`^${parts.join('')}$`);
}

const expression = fc.constantFrom('{id}', '{+path}', '{rest*}', '{?q}', '{a,b}');
const literal = fc.string({ unit: fc.constantFrom('/', 'x', 'y'), maxLength: 3 });
const template = fc.array(fc.oneof(expression, literal), { maxLength: 7 }).map((parts) => parts.join(''));
const uri = fc.string({ unit: fc.constantFrom('/', 'x', 'y', 'z'), maxLength: 14 });

test('a template matches exactly what its expressions allow, however they stand', () => {
  fc.assert(
    fc.property(template, uri, (text, candidate) => {
      expect(compileTemplate(text).matches(candidate)).toBe(reference(text).test(candidate));
    }),
    { numRuns: 5_000 },
  );
});

test('filling in a template gives a URI that it matches', () => {
  fc.assert(
    fc.property(
      template,
      fc.array(fc.string({ unit: fc.constantFrom('x', 'q', '%20') }), { maxLength: 7 }),
      (text, values) => {
        let index = 0;
        const filled = text.replace(/\{[^{}]*\}/g, () => values[index++] ?? '');

        expect(compileTemplate(text).matches(filled)).toBe(true);
      },
    ),
  );
});

test.each([
  ['file:///{name}', 'file:///a.txt', true],
  ['file:///{name}', 'file:///a/b.txt', false],
  ['file:///{+path}', 'file:///a/b.txt', true],
  ['{+path}/x{id}', 'p/xq/r/xs', true],
  ['repo://{owner}/{repo}/issues/{n}', 'repo://o/r/issues/7', true],
  ['repo://{owner}/{repo}/issues/{n}', 'repo://o/r/pulls/7', false],
  ['fixed://only', 'fixed://only', true],
  ['fixed://only', 'fixed://only/more', false],
])('%s and %s: %s', (text, candidate, expected) => {
  expect(compileTemplate(text).matches(candidate)).toBe(expected);
});

test('the fixed characters say how specific a template is', () => {
  expect(compileTemplate('a://x/{id}').literals).toBeGreaterThan(compileTemplate('a://{+any}').literals);
});

test('a template and a URI made to be slow are answered within the bounds', () => {
  const nasty = compileTemplate(`${'{+a}/'.repeat(16)}!`);
  const before = performance.now();

  expect(nasty.matches('/'.repeat(8_192))).toBe(false);
  expect(compileTemplate('{a}'.repeat(17)).matches('x')).toBe(false);
  expect(compileTemplate('{+a}').matches('x'.repeat(8_193))).toBe(false);
  expect(performance.now() - before).toBeLessThan(2_000);
});
