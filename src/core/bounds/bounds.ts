// The one table of bounds: how much, how many and how long, wherever no configuration says so.
import type { Bound } from './bound.ts';
import { CATALOG } from './catalog.ts';
import { CLI } from './cli.ts';
import { DOWNSTREAM } from './downstream.ts';
import { FOUNDATION } from './foundation.ts';
import { GATEWAY } from './gateway.ts';
import { RECORDS } from './records.ts';
import { UPSTREAM } from './upstream.ts';
import { WIRE } from './wire.ts';

/** The parts by their headings in docs/reference/limits.md, which is made of them. */
export const BOUND_PARTS = {
  Clients: DOWNSTREAM,
  Calls: GATEWAY,
  Servers: UPSTREAM,
  Messages: WIRE,
  'What servers offer': CATALOG,
  'Configuration and state': FOUNDATION,
  'The audit log': RECORDS,
  Commands: CLI,
};

const TABLE = { ...DOWNSTREAM, ...GATEWAY, ...UPSTREAM, ...WIRE, ...CATALOG, ...FOUNDATION, ...RECORDS, ...CLI };

export type BoundName = keyof typeof TABLE;
export type Bounds = Readonly<Record<BoundName, number>>;

/** The values of the table. */
export const BOUNDS: Bounds = boundsWith({});

/** Returns the values of the table with some replaced. Tests pass the result to the objects that they make. */
export function boundsWith(replaced: Partial<Bounds>): Bounds {
  const values = Object.entries<Bound>(TABLE).map(([name, { value }]) => [name, value]);
  return Object.freeze({ ...(Object.fromEntries(values) as Bounds), ...replaced });
}
