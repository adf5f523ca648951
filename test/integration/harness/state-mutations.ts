// Texts that are almost a state: every byte changed, every cut, every other way to write base64, and as many more as are wanted.
import { randomBytes, randomInt } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\u0000é';

const pick = (text: string): string => text[randomInt(text.length)] ?? '';

/** Where the sealed bytes begin. */
const bodyAt = (state: string): number => state.indexOf('.') + 1;

const bytesOf = (state: string): Buffer => Buffer.from(state.slice(bodyAt(state)), 'base64url');

const withBytes = (state: string, bytes: Buffer): string =>
  `${state.slice(0, bodyAt(state))}${bytes.toString('base64url')}`;

function flipped(state: string, at: number, bits: number): string {
  const bytes = bytesOf(state);
  bytes[at] = (bytes[at] ?? 0) ^ bits;
  return withBytes(state, bytes);
}

/** Every way in which one place of a state can be wrong, once for each place. */
function everywhere(state: string): string[] {
  const places = Array.from({ length: state.length }, (_, at) => at);
  const other = (at: number) => (state[at] === 'A' ? 'B' : 'A');
  return [
    ...Array.from(bytesOf(state), (_byte, at) => flipped(state, at, 1 << (at % 8))),
    ...places.map((at) => state.slice(0, at) + other(at) + state.slice(at + 1)),
    ...places.map((at) => state.slice(0, at)),
    ...places.map((at) => state.slice(0, at) + state.slice(at + 1)),
    ...places.map((at) => `${state.slice(0, at)}A${state.slice(at)}`),
  ];
}

/** The same bytes, written otherwise; and the bytes with more behind or before them. */
function written(state: string): string[] {
  const id = state.slice(0, bodyAt(state));
  const body = state.slice(bodyAt(state));
  const bytes = bytesOf(state);
  const standard = bytes.toString('base64');
  return [
    ...['=', '==', '===', '.', ' ', '\n', '\0', '%00', 'A', 'AA', 'AAAA', `.${body}`, body].map((end) => state + end),
    ...[' ', '\n', '\ufeff', '.', 'A', id].map((start) => start + state),
    `${id}${body.slice(0, 8)}\n${body.slice(8)}`,
    `${id}${standard}${standard.endsWith('=') ? '' : '='}`,
    `${id}+${body.slice(1)}`,
    `${id}/${body.slice(1)}`,
    `${id}${bytes.toString('hex')}`,
    `${id}${encodeURIComponent(standard)}%3D`,
    withBytes(state, Buffer.concat([bytes, Buffer.alloc(1)])),
    withBytes(state, Buffer.concat([Buffer.alloc(1), bytes])),
    withBytes(state, Buffer.concat([bytes, bytes])),
    withBytes(state, Buffer.from(bytes.toString('latin1').split('').reverse().join(''), 'latin1')),
    state.toUpperCase(),
    state.toLowerCase(),
    body,
    id,
    id.slice(0, -1),
    '',
    '.',
  ];
}

/** The beginning of one state with the end of the other, at every eighth place and both ways. */
function halves(state: string, other: string): string[] {
  const cuts = Array.from({ length: Math.floor(state.length / 8) }, (_, index) => 8 * (index + 1));
  return cuts.flatMap((at) => [state.slice(0, at) + other.slice(at), other.slice(0, at) + state.slice(at)]);
}

/** One more, made at random. */
function anyOf(state: string, other: string): string {
  const bytes = bytesOf(state);
  const at = randomInt(state.length);
  const made = [
    () => flipped(state, randomInt(bytes.length), randomInt(1, 256)),
    () => state.slice(0, at) + pick(ALPHABET) + state.slice(at + 1),
    () => state.slice(0, at) + pick(ALPHABET) + pick(ALPHABET) + state.slice(at),
    () => state.slice(0, at) + other.slice(randomInt(other.length)),
    () => withBytes(state, bytes.subarray(0, randomInt(bytes.length))),
    () => withBytes(state, randomBytes(bytes.length)),
    () => withBytes(state, Buffer.concat([bytes, randomBytes(randomInt(1, 64))])),
  ];
  return made[randomInt(made.length)]?.() ?? '';
}

/** At least `count` texts made of `state`, none of which is one of the two. */
export function mutationsOf(state: string, other: string, count: number): string[] {
  const isOther = (text: string) => text !== state && text !== other;
  const all = [...everywhere(state), ...written(state), ...halves(state, other)].filter(isOther);
  while (all.length < count) {
    const made = anyOf(state, other);
    if (isOther(made)) all.push(made);
  }
  return all;
}
