// Converts sizes and durations as the configuration writes them: '4MiB', '60s', or plain numbers.

/** A size as a string. */
export const SIZE_PATTERN = /^\d+(\.\d+)? ?(B|[kK]B|MB|GB|KiB|MiB|GiB)$/;
/** A duration as a string. */
export const DURATION_PATTERN = /^\d+(\.\d+)? ?(ms|s|m|h)$/;

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The bytes of a size; NaN for any other string. */
export function toBytes(size: string | number): number {
  return convert(size, SIZE_PATTERN, (unit) => BYTES[unit.toUpperCase()]);
}

/** The milliseconds of a duration; NaN for any other string. */
export function toMilliseconds(duration: string | number): number {
  return convert(duration, DURATION_PATTERN, (unit) => MILLISECONDS[unit]);
}

function convert(value: string | number, pattern: RegExp, factorOf: (unit: string) => number | undefined): number {
  if (typeof value === 'number') return value;
  if (!pattern.test(value)) return Number.NaN;
  const digits = /^[\d.]+/.exec(value)?.[0] ?? '';
  const factor = factorOf(value.slice(digits.length).trim()) ?? Number.NaN;
  return Math.round(Number(digits) * factor);
}
