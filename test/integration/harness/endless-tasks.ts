// A legacy server over HTTP whose tasks end only when a test says so.
import { onTestFinished } from '../../apart.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { answer, legacy, type ScriptedServer, startScripted, tool, type Visit } from './scripted.ts';

/** How such a server differs from one life to the next. */
export interface EndlessOptions {
  readonly createdAt?: string;
  readonly ttl?: number;
  readonly port?: number;
}

/** A legacy server whose tasks never end, but for those that are cancelled; it is asked for a result in vain. */
export async function startEndless(
  ends: (visit: Visit) => boolean = () => false,
  { createdAt = '2026-11-01T00:00:00Z', ttl, port }: EndlessOptions = {},
): Promise<ScriptedServer> {
  let made = 0;
  const capabilities = { tools: {}, tasks: { requests: { tools: { call: {} } } } };
  const job = tool('job', { execution: { taskSupport: 'required' } });
  const describe = (taskId: unknown, status: string): JsonObject => {
    const lastUpdatedAt = new Date().toISOString();
    return { taskId: String(taskId), status, createdAt, lastUpdatedAt, ttl: ttl ?? null };
  };
  const script = legacy(
    () => [job],
    new Set(),
    (visit) => {
      const { rpc, params, http, response, id } = visit;
      if (rpc === 'initialize') {
        const serverInfo = { name: 'endless', version: '1' };
        answer(visit, { protocolVersion: '2025-11-25', capabilities, serverInfo });
      } else if (rpc === 'tools/list') return { tools: [job] };
      else if (rpc === 'tools/call') return { task: describe(++made, 'working') };
      else if (rpc === 'tasks/get') return describe(params.taskId, 'working');
      else if (rpc === 'tasks/cancel') return describe(params.taskId, 'cancelled');
      else if (http === 'GET') response.writeHead(405).end();
      else if (id === undefined) response.writeHead(202).end();
      return undefined;
    },
  );
  const running = await startScripted(
    (visit) => (ends(visit) || visit.rpc === 'tasks/result' ? undefined : script(visit)),
    { ...(port !== undefined && { port }) },
  );
  onTestFinished(() => running.stop());
  return running;
}
