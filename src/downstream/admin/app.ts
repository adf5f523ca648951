// Everything that is not a hot path, through Express: health for orchestrators, status for the command line.
import express, { type Express } from 'express';
import { type Gateway } from '../../gateway/gateway.ts';

/** The app of a front; the control socket's has the admin API, which the network's has not. */
export function createAdmin(gateway: Gateway, { control }: { control: boolean }): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.get('/livez', (_request, response) => {
    response.json({ status: 'ok' });
  });
  app.get('/readyz', (_request, response) => {
    const health = gateway.health();
    response.status(health.ready ? 200 : 503).json({ status: health.ready ? 'ok' : 'unavailable', ...health });
  });
  if (control) {
    app.get('/api/servers', (_request, response) => {
      response.json({ servers: gateway.servers() });
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
