// The routes outside the hot path, with Express: health for orchestrators, the page for browsers, status for the command line.
import express, { type Express, type Request } from 'express';
import type { Gateway } from '../../gateway/gateway.ts';
import { PAGE_HEADERS, type PageFacts, pageOf } from './page.ts';

export interface AdminOptions {
  /** Whether the app has the admin API: on the control socket only. */
  readonly control: boolean;
  /** Whether callers may see why the gateway is not ready. */
  readonly detailed: boolean;
}

/** Makes the app of one front. */
export function createAdmin(gateway: Gateway, { control, detailed }: AdminOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.get('/livez', (_request, response) => {
    response.json({ status: 'ok' });
  });
  app.get('/readyz', (_request, response) => {
    const health = gateway.health();
    const status = health.ready ? 'ok' : 'unavailable';
    // the reasons name files and servers, and clients without a token can read this page
    response.status(health.ready ? 200 : 503).json(detailed ? { status, ...health } : { status, ready: health.ready });
  });
  app.get(['/', '/mcp', '/mcp/s/:name'], (request, response, next) => {
    if (request.headers.accept?.includes('text/html') !== true) next();
    else response.set(PAGE_HEADERS).send(pageOf(factsFor(request, gateway, detailed)));
  });
  if (control) {
    app.get('/api/servers', (_request, response) => {
      const { reloadError } = gateway.health();
      response.json({ servers: gateway.servers(), ...(reloadError !== undefined && { reloadError }) });
    });
    app.get('/api/tools/:name', (request, response) => {
      response.json(gateway.explainTool(request.params.name));
    });
    app.get('/api/attempted', async (_request, response) => {
      await gateway.attempted();
      response.json({ status: 'ok' });
    });
  }
  app.use((_request, response) => {
    response.status(404).json({
      error: 'not_found',
      message: 'There is nothing at this path. MCP clients connect to /mcp; health is at /livez and /readyz.',
    });
  });
  return app;
}

function factsFor(request: Request, gateway: Gateway, detailed: boolean): PageFacts {
  const servers = gateway.servers().filter(({ state }) => state !== 'disabled');
  const ready = servers.filter(({ state }) => state === 'ready' || state === 'idle');
  const tools = ready.reduce((sum, server) => sum + server.tools, 0);
  return {
    // the Host has passed the guard; the URL of a single server would tell strangers that the server exists
    url: `http://${request.headers.host ?? 'localhost'}/mcp`,
    needsToken: gateway.snapshot.config.auth.tokens.length > 0,
    servers: detailed ? { ready: ready.length, all: servers.length, tools } : undefined,
  };
}
