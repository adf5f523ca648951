// The bounds of servers: processes, connections, instances, offers.
import { bounds } from './bound.ts';

export const UPSTREAM = bounds({});
