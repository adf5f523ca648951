// A task id reveals nothing, is bound to one principal, and opens to exactly what it was made of.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { TaskIds } from '../../../src/gateway/tasks/task-ids.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { temporaryFolder } from '../../storage/temporary.ts';

const make = () => new TaskIds(new Keyring(temporaryFolder()));
const text = fc.string({ minLength: 1, maxLength: 200, unit: 'binary' });
const tasks: fc.Arbitrary<Omit<TaskRef, 'id'>> = fc.record({
  kind: fc.constantFrom('modern', 'legacy', 'bridged'),
  upstreamId: text,
  instance: text,
  target: fc.record({ kind: fc.constant('tool'), server: text, exposed: text, original: text }),
});
const somebody = { ...LOCAL, id: 'somebody' };

test('opens to its task, for its principal alone', () => {
  const ids = make();
  fc.assert(
    fc.property(tasks, (task) => {
      const named = ids.name(LOCAL, task);

      expect(ids.open(LOCAL, named.id)).toEqual(named);
      expect(ids.open(somebody, named.id)).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test('opens to a task with the longest id of a server, and is refused where it would be too long', () => {
  const ids = make();
  const target = { kind: 'tool', server: 'one', exposed: 'work', original: 'work' } as const;
  const task = { kind: 'modern', upstreamId: '\u0001'.repeat(1_024), instance: 'one#1', target } as const;
  const named = ids.name(LOCAL, task);

  expect(ids.open(LOCAL, named.id)).toEqual(named);
  expect(() => ids.name(LOCAL, { ...task, instance: 'x'.repeat(10_000) })).toThrow(/too long to be used/);
});

test('is another one each time, of letters that a header can carry, and shows nothing of the task', () => {
  const ids = make();
  const task = {
    kind: 'modern',
    upstreamId: 'the-id',
    instance: 'one#1',
    target: { kind: 'tool', server: 'one', exposed: 'one__work', original: 'work' },
  } as const;
  const [first, second] = [ids.name(LOCAL, task).id, ids.name(LOCAL, task).id];

  expect(first).not.toBe(second);
  expect(first).toMatch(/^[A-Za-z0-9_.-]{1,400}$/);
  expect(Buffer.from(first.split('.')[1] ?? '', 'base64url').toString('latin1')).not.toContain('the-id');
});

test('does not open when one character of it differs, or when it was never made', () => {
  const ids = make();
  const { id } = ids.name(LOCAL, {
    kind: 'bridged',
    upstreamId: 't',
    instance: 'one#1',
    target: { kind: 'tool', server: 'one', exposed: 'work', original: 'work' },
  });
  for (let at = 0; at < id.length; at++) {
    const other = id[at] === 'A' ? 'B' : 'A';
    expect(ids.open(LOCAL, id.slice(0, at) + other + id.slice(at + 1)), String(at)).toBeUndefined();
    expect(ids.open(LOCAL, id.slice(0, at))).toBeUndefined();
  }
  for (const made of ['', '.', 'x', `${id}A`, 'A'.repeat(100_000)]) expect(ids.open(LOCAL, made)).toBeUndefined();
});
