// How much the requests of calls in flight may hold, in all and of one principal.
import { expect, test } from 'vitest';
import { type JsonObject, messageHeap } from '../../src/core/json.ts';
import { LOCAL } from '../../src/core/principal.ts';
import { InFlightMemory } from '../../src/quota/in-flight-memory.ts';

const MIB = 1024 * 1024;
const request = (id: string, params: JsonObject = {}, bytes = MIB) => ({
  principal: { ...LOCAL, id },
  heldBytes: messageHeap(bytes, params),
});
const text = (mib: number): JsonObject => ({ arguments: { text: 'x'.repeat(mib * MIB) } });
/** Three bytes each on the wire, and half a MiB of heap for every ten thousand. */
const wide = (count: number): JsonObject => ({ arguments: { wide: Array.from({ length: count }, () => []) } });

const may = (room: InFlightMemory, id: string) => {
  try {
    room.require(id);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'overloaded' });
    return false;
  }
};

test('nobody holds more than is free for the others, and what has ended makes room again', () => {
  const room = new InFlightMemory();
  const large = text(20);
  const held: ReturnType<typeof request>[] = [];
  while (may(room, 'alice')) {
    held.push(request('alice', large));
    room.enter(held.at(-1)!);
  }
  expect(held.length).toBe(13); // of 512 MiB: 12 are 240, and the next is more than half

  room.enter(request('bob', large));
  expect([may(room, 'bob'), may(room, 'alice')]).toEqual([true, false]);
  room.enter(request('bob', large));
  expect(may(room, 'bob')).toBe(true);
  for (const each of held) room.leave(each);
  expect([may(room, 'bob'), may(room, 'alice')]).toEqual([true, true]);
});

test('a request counts with what it takes in memory, and not with its bytes', () => {
  const room = new InFlightMemory();
  const shape = wide(1_000_000); // 3 MB
  let calls = 0;
  while (may(room, 'alice')) {
    room.enter(request('alice', shape, 3 * MIB));
    calls++;
  }

  expect(calls).toBeLessThan(10);
});

test('one call alone is never refused for its size, and very many small ones are', () => {
  const room = new InFlightMemory();
  const held = request('alice', text(300));
  room.enter(held);
  expect(may(room, 'alice')).toBe(true);
  room.leave(held);

  let calls = 0;
  for (; may(room, 'alice'); calls++) room.enter(request('alice', {}, 1_000));
  expect(calls).toBeGreaterThan(10_000);
});
