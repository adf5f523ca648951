// How large the loops of a test are: small in every check, of production size where `npm run test:long` runs the same file again.

/** The first number in a check, the second in `npm run test:long`. */
export function size(small: number, large: number): number {
  return process.env.TEST_SIZE === 'large' ? large : small;
}
