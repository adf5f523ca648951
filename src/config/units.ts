// Sizes and durations as the configuration writes them: '4MiB', '60s', or plain numbers; their schemas give bytes and milliseconds.
import { z } from 'zod';

/** A size as a string. */
const SIZE_PATTERN = /^\d+(\.\d+)? ?(B|[kK]B|MB|GB|KiB|MiB|GiB)$/;
/** A duration as a string. */
const DURATION_PATTERN = /^\d+(\.\d+)? ?(ms|s|m|h)$/;

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

const DAY = 86_400_000;
const SIZE = 'must be a number of bytes or a size such as "512KiB" or "4MiB"';
const DURATION = 'must be a number of milliseconds or a duration such as "500ms", "60s" or "5m"';

/** A size in bytes, written as a number or with its unit. */
export function size(least: number, most: number) {
  const range = `must be from ${least} bytes to ${most / 2 ** 20} MiB`;
  return z
    .union([z.int(), z.string().regex(SIZE_PATTERN, { error: SIZE })], { error: SIZE })
    .transform(toBytes)
    .refine((bytes) => bytes >= least && bytes <= most, { error: range });
}

/** A duration in milliseconds, as `read` makes it of what is written. */
function duration(read: (value: string | number) => number) {
  return z
    .union([z.int(), z.string().regex(DURATION_PATTERN, { error: DURATION })], { error: DURATION })
    .transform(read)
    .refine((ms) => ms >= 1 && ms <= DAY, { error: 'must be from 1 ms to 24 h' });
}

export const milliseconds = duration(toMilliseconds);

/** Clients differ in whether `timeout` is in seconds or milliseconds, so a number below 1000 counts as seconds. */
export const clientTimeout = duration((value) =>
  typeof value === 'number' && value < 1000 ? value * 1000 : toMilliseconds(value),
);
