// Finds the resources above another, since an update may be of a sub-resource of a subscribed one (schema, ResourceUpdatedNotification).
import { BOUNDS } from '../../core/bounds/bounds.ts';

/** A segment `.` or `..`, with which a path leads out of its parent. */
const DOTS = /\/(?:\.|%2e){1,2}(?=\/|$)/i;

/**
 * The URIs of the resources above a resource: each start of its path before a `/`, with and without that `/`. None for a path with `.` or
 * `..`, nor beyond `parentUri` and `parentLevels`.
 */
export function resourcesAbove(uri: string): string[] {
  if (uri.length > BOUNDS.parentUri) return [];
  const end = uri.search(/[?#]/);
  const path = end < 0 ? uri : uri.slice(0, end);
  if (DOTS.test(path)) return [];
  const authority = path.indexOf('://');
  const above: string[] = [];
  for (let at = path.indexOf('/', authority < 0 ? 0 : authority + 3); at >= 0; at = path.indexOf('/', at + 1)) {
    if (above.length === 2 * BOUNDS.parentLevels) return [];
    above.push(path.slice(0, at), path.slice(0, at + 1));
  }
  return above.filter((each) => each !== uri);
}
