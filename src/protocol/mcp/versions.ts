// The protocol revisions, and the era of each.
export const MODERN_VERSION = '2026-07-28';

/** Newest first. */
export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

export const NEWEST_LEGACY = LEGACY_VERSIONS[0];

/** The revisions that `server/discover` and error -32022 name, newest first. */
export const SUPPORTED_VERSIONS: readonly string[] = [MODERN_VERSION, ...LEGACY_VERSIONS];

const legacy: ReadonlySet<string> = new Set(LEGACY_VERSIONS);

/** Tells whether a revision has `initialize` and sessions. */
export function isLegacyVersion(version: string): boolean {
  return legacy.has(version);
}

/** The revision for the answer to `initialize`: the requested one, else the newest legacy one. */
export function negotiateLegacy(requested: unknown): string {
  return typeof requested === 'string' && legacy.has(requested) ? requested : NEWEST_LEGACY;
}
