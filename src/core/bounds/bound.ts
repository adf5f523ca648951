// What a bound is: a number of the table that no configuration changes.
import type { ErrorCode } from '../errors.ts';

/** What the number counts. */
export type Unit =
  | 'ms'
  | 'bytes'
  | 'characters'
  | 'lines'
  | 'levels'
  | 'requests'
  | 'messages'
  | 'connections'
  | 'calls'
  | 'sessions'
  | 'streams'
  | 'questions'
  | 'rounds'
  | 'tasks'
  | 'instances'
  | 'entries'
  | 'records'
  | 'attempts'
  | 'times';

/** What has that many at most, each on its own. */
export type Scope =
  | 'gateway'
  | 'configuration'
  | 'listener'
  | 'connection'
  | 'message'
  | 'principal'
  | 'session'
  | 'call'
  | 'server'
  | 'instance'
  | 'task'
  | 'definition'
  | 'record'
  | 'command';

export interface Bound {
  readonly value: number;
  readonly unit: Unit;
  readonly scope: Scope;
  /** The error that the gateway answers at the bound; absent where the gateway refuses no caller. */
  readonly error?: ErrorCode;
  /** One or two sentences for the reference page: what is bounded, and what happens at the bound. */
  readonly help: string;
}

/** Checks a part of the table, and keeps the names of its bounds. A row stands on one line: the parts tell the formatter to leave them alone. */
export function bounds<const Part extends Readonly<Record<string, Bound>>>(part: Part): Part {
  return part;
}

export const KIB = 1024;
export const MIB = KIB * KIB;
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
