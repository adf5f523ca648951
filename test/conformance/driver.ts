// The client that the suite starts: begins a gateway with the suite's server behind it, and calls through the gateway.
import { parseArgs } from 'node:util';
import { Client } from '@modelcontextprotocol/client';
import { transportV2 } from '../integration/harness/clients.ts';
import { type GatewayProcess, startGateway } from '../integration/harness/gateway.ts';
import { CLIENT_SCENARIOS } from './client-scenarios.ts';

const NAME = 'suite';
const LIMIT_MS = 14_000;
const MAX_LOG = 4_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { client: { type: 'string', default: 'modern' } },
});
const [url] = positionals;
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const perform = CLIENT_SCENARIOS[scenario ?? ''];
if (url === undefined || !perform) throw new Error(`The conformance suite starts this, not for ${String(scenario)}.`);

// The suite ends only the shell around this process, which the gateway must not outlive.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
let started: GatewayProcess | undefined;
setTimeout(() => {
  const log = started?.log().slice(-MAX_LOG) ?? 'the gateway has not started';
  process.stderr.write(`${String(scenario)} did not come to its end within ${LIMIT_MS / 1_000} s\n${log}\n`);
  process.exit(1);
}, LIMIT_MS).unref();

const mode = options.client === 'modern' ? 'auto' : 'legacy';
// the suite's servers of 2026-07-28 count the attempt at `initialize` as a fault of the client
const era = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28' ? 'modern' : 'auto';
const gateway = (started = await startGateway({ config: { mcpServers: { [NAME]: { url, era } } } }));
try {
  await gateway.attempted();
  const info = { name: `${options.client}-driver`, version: '1.0.0' };
  const capabilities = { elicitation: { form: {} } };
  const client = new Client(info, { capabilities, versionNegotiation: { mode } });
  await client.connect(transportV2({ url: `${gateway.origin}/mcp/s/${NAME}` }));
  await perform(client);
  await client.close();
} catch (error) {
  process.stderr.write(`${String(error)}\n${gateway.log().slice(-MAX_LOG)}\n`);
  process.exitCode = 1;
} finally {
  await gateway.stop();
}
