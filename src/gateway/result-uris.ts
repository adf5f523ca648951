// Puts the URIs into a server's result under which the caller can read them (docs/resources.md).
import { uriAt } from '../catalog/server-uris.ts';
import type { View } from '../catalog/view.ts';
import { type McpCall, serverOf, type Target } from '../core/call.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { mapResourceUris } from '../protocol/mcp/resource-uris.ts';
import type { DispatchParts } from './dispatch.ts';

interface ShowingParts {
  readonly target: Target;
  readonly view: View;
  readonly seen: DispatchParts['seen'];
}

/** Remembers the URIs in a result, so that the caller may read them, and returns the result with each as the caller can read it. */
export function showUris(call: McpCall, result: JsonObject, { target, view, seen }: ShowingParts): JsonObject {
  const { server, original, exposed } = target;
  const principal = call.principal.id;
  seen.remember(principal, server, result);
  if (serverOf(call.endpoint) !== undefined) return result;
  const isRead = call.method === 'resources/read';
  if (isRead && exposed !== original) return mapResourceUris(result, (uri) => uriAt(server, uri));
  const seenBy = (uri: string) => seen.serverOf(principal, uri);
  return mapResourceUris(result, (uri) => (isRead && uri === original ? uri : view.uriOf(server, uri, seenBy)));
}

/** The same for the answer to a `tasks/*` call: `tasks/result` answers with the result of the task, the others describe the task. */
export function showTaskUris(call: McpCall, answer: JsonObject, showing: ShowingParts): JsonObject {
  if (call.method === 'tasks/result') return showUris(call, answer, showing);
  const { result } = answer;
  return isObject(result) ? { ...answer, result: showUris(call, result, showing) } : answer;
}
