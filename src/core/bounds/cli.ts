// The bounds of the command line and the relay.
import { bounds } from './bound.ts';

export const CLI = bounds({});
