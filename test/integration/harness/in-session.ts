// A legacy session for the length of a piece of work.
import { type LegacySession, openSession, send } from './raw.ts';

/** Runs with a session that is ended afterwards, so that tests leave room for each other. */
export async function inSession<T>(
  origin: string,
  run: (session: LegacySession) => Promise<T>,
  version?: string,
): Promise<T> {
  const session = await openSession(origin, version === undefined ? {} : { version });
  try {
    return await run(session);
  } finally {
    await send(origin, session.delete());
  }
}
