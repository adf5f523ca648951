// The bounds of configuration, state, records, policy, names and the wire.
import { bounds } from './bound.ts';

export const FOUNDATION = bounds({});
