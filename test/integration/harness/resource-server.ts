// A legacy server over HTTP whose resources can be followed: a test makes them change, and sees who asked for what.
import type { JsonObject } from '../../../src/core/json.ts';
import { openEvents, refuse, type Script, type ScriptedServer, startScripted } from './scripted.ts';

export interface ResourceServer extends ScriptedServer {
  /** `subscribe URI` and `unsubscribe URI`, as they came. */
  readonly told: readonly string[];
  /** Says on every standing stream that a resource changed. */
  update(uri: string): void;
  /** Sends any notification on every standing stream. */
  notify(method: string, params: JsonObject): void;
}

/** Starts one that lists these resources; `script` answers what it wants to, first. */
export async function startResourceServer(uris: readonly string[], script?: Script): Promise<ResourceServer> {
  const told: string[] = [];
  const streams = new Set<(message: JsonObject) => void>();
  const server = await startScripted((visit) => {
    const { rpc, http, params, response } = visit;
    if (rpc === 'resources/subscribe' || rpc === 'resources/unsubscribe')
      told.push(`${rpc.slice('resources/'.length)} ${typeof params.uri === 'string' ? params.uri : ''}`);
    const scripted = script?.(visit);
    if (scripted || response.headersSent) return scripted;
    if (http === 'GET') {
      const send = openEvents(visit);
      streams.add(send);
      response.on('close', () => streams.delete(send));
    } else if (rpc === 'initialize') {
      return {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {}, resources: { subscribe: true } },
        serverInfo: { name: 'resources', version: '1' },
      };
    } else if (rpc === 'server/discover') refuse(visit, 400);
    else if (visit.id === undefined) response.writeHead(202).end();
    else if (rpc === 'tools/list') return { tools: [] };
    else if (rpc === 'resources/list') return { resources: uris.map((uri) => ({ uri, name: uri })) };
    else if (rpc === 'resources/templates/list') return { resourceTemplates: [] };
    else if (rpc === 'resources/read') return { contents: [{ uri: params.uri ?? '', text: 'x' }] };
    else return {};
    return undefined;
  });
  const notify = (method: string, params: JsonObject) => {
    for (const send of streams) send({ method, params });
  };
  return { ...server, told, notify, update: (uri) => notify('notifications/resources/updated', { uri }) };
}
