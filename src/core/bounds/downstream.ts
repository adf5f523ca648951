// The bounds of the client's side: connections, sessions, streams.
import { bounds } from './bound.ts';

export const DOWNSTREAM = bounds({
  sessionStreams: {
    value: 8,
    unit: 'streams',
    scope: 'session',
    help: 'Standing event streams of one session. One more closes a stream that nobody reads, else the oldest.',
  },
  sessionSubscriptions: {
    value: 1_000,
    unit: 'entries',
    scope: 'session',
    error: 'overloaded',
    help: 'Resources that one session is subscribed to.',
  },
});
