// Which resources another lies below, since updates may be of a sub-resource of what is followed (schema, ResourceUpdatedNotification).

/** Bounds of what is looked at: a URI is as long as its server likes. */
const MAX_URI = 2_048;
const MAX_LEVELS = 64;

/** Such a segment leads out of where it stands. */
const DOTS = /\/(?:\.|%2e){1,2}(?=\/|$)/i;

/**
 * The URIs that a resource lies below: those that its path continues after a `/`, each with and without that one. None for a path with
 * `.` or `..`, and for a longer or deeper one than is looked at.
 */
export function resourcesAbove(uri: string): string[] {
  if (uri.length > MAX_URI) return [];
  const end = uri.search(/[?#]/);
  const path = end < 0 ? uri : uri.slice(0, end);
  if (DOTS.test(path)) return [];
  const authority = path.indexOf('://');
  const above: string[] = [];
  for (let at = path.indexOf('/', authority < 0 ? 0 : authority + 3); at >= 0; at = path.indexOf('/', at + 1)) {
    if (above.length === 2 * MAX_LEVELS) return [];
    above.push(path.slice(0, at), path.slice(0, at + 1));
  }
  return above.filter((each) => each !== uri);
}
