// The bounds of calls on their way through the gateway: rounds, tasks, the end.
import { bounds } from './bound.ts';

export const GATEWAY = bounds({});
