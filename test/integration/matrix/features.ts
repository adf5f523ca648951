// What every cell of the matrix is tried with; a feature throws where it does not work.
import type { MatrixClient } from './client.ts';
import { completion, errors, list, plainCall } from './calls.ts';
import { binary, large } from './contents.ts';
import { cancel, listChanged, logging, progress, resourceUpdate } from './notifications.ts';
import { elicitation, roots, sampling } from './questions.ts';

/** A fixture server as the client of one cell sees it. */
export interface ServerView {
  /** The name that a tool or prompt is shown under. */
  exposed(name: string): string;
  uri(path: string): string;
  /** Runs something that everybody hears of while nobody else does such a thing. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

/** Throws where something does not work. */
export type Feature = (client: MatrixClient, server: ServerView) => Promise<void>;

/** By the heading of its column, in the order in which they are tried. */
export const FEATURES: Readonly<Record<string, Feature>> = {
  list,
  call: plainCall,
  progress,
  cancel,
  'list changed': listChanged,
  'resource update': resourceUpdate,
  elicitation,
  sampling,
  roots,
  completion,
  errors,
  large,
  binary,
  logging,
};
